#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "model_world.h"
#include "proxy/pull/puller.h"

namespace entrepot::model {

/// A client of the model: asks for a blob of a repository, takes the bytes as they become readable, as
/// proxy/registry does for its clients, and never more than it has been allowed to. Complains when what it
/// gets is not right. Lives on one loop, and as long as its visit.
class Visitor {
 public:
  struct Wish {
    size_t repository = 0;
    size_t blob = 0;
    uint64_t begin = 0;  // of a Range
    uint64_t end = UINT64_MAX;
    bool is_careful = false;  // waits until the digest is right, then takes the bytes
  };
  struct View {
    bool is_hungry = false;  // has taken all it was allowed to
    bool is_over = false;
    bool is_complete = false;      // it got everything
    bool went_past_cache = false;  // in the middle
    std::optional<Error> error;
    uint64_t at = 0;
    std::optional<pull::Outcome> outcome;
  };

  Visitor(const World& world, Complaints& complaints, Wish wish)
      : world_(world), complaints_(complaints), wish_(wish) {}

  static Task<void> visit(std::shared_ptr<Visitor> self, pull::Puller& puller);

  /// On its loop.
  void allow(uint64_t bytes);
  void leave();

  /// Any thread.
  View view() const;
  const Wish& wish() const { return wish_; }
  std::string name() const;

 private:
  Task<void> take(pull::Puller& puller, pull::OpenBlob& blob);
  void take_file(const pull::OpenBlob& blob);
  Task<void> follow(pull::Puller& puller, pull::OpenBlob& blob);
  Task<void> pass_small(pull::Bypass& bypass);
  Task<void> go_past_cache(pull::Bypass& bypass);
  Task<void> stream(pull::Bypass& bypass);
  Task<bool> may_go_on();
  Task<bool> verify_first(pull::Puller& puller, pull::OpenBlob& blob);
  Task<void> go_on_past_cache(pull::Puller& puller, pull::FillReader& reader);

  bool apply_range(std::optional<uint64_t> size);
  void check_readable(const pull::Readable& ready, uint64_t before);
  void pass(uint64_t end, const SharedFd& file);
  void got(std::string_view bytes);
  void complete();
  void fail_with(const Error& error);
  void complain(const std::string& what) { complaints_.add(name() + ": " + what); }
  const World::Blob& blob() const { return world_.blobs()[wish_.blob]; }

  const World& world_;
  Complaints& complaints_;
  const Wish wish_;

  uint64_t allowed_ = 0;
  bool is_leaving_ = false;
  Completion<bool>* gate_ = nullptr;
  uint64_t at_ = 0;
  bool is_right_ = true;
  std::optional<uint64_t> size_;  // that was announced
  uint64_t end_ = UINT64_MAX;     // of what it wants

  mutable std::mutex mutex_;
  View view_;
};

}  // namespace entrepot::model
