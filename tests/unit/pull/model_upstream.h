#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/task/completion.h"
#include "model_world.h"
#include "upstream/client.h"

namespace entrepot::model {

/// What an origin says to a GET or HEAD of a blob.
struct Answer {
  std::optional<Error> error;
  std::string bytes;  // what it has for this blob: all of it, right or wrong
  bool refuses_range = false;
  bool hides_size = false;

  static Answer failed(Error error);
  static Answer holding(std::string bytes);
};

/// Registries in memory that do nothing by themselves: every request, and every body, waits until the test
/// moves it. The clients of all loops ask it; what concerns a body happens on the loop of who asked.
class ModelUpstream {
 public:
  struct Request {
    uint64_t id = 0;
    bool is_head = false;
    std::string upstream;
    upstream::BlobRequest blob;
  };
  struct Body {
    uint64_t id = 0;
    std::string upstream;
    upstream::BlobRequest blob;
    uint64_t at = 0;    // where in the blob the next byte belongs
    uint64_t left = 0;  // bytes that have not been given
  };

  ModelUpstream(World& world, Complaints& complaints) : world_(world), complaints_(complaints) {}

  // ---- the test's thread ----

  /// What waits to be answered, oldest first.
  std::vector<Request> requests() const;
  /// What can be moved, oldest first.
  std::vector<Body> bodies() const;
  void answer(uint64_t request, Answer answer);
  /// The next `count` bytes. With `flip`, one of them is another one.
  void give(uint64_t body, uint64_t count, std::optional<uint64_t> flip);
  /// A proper end, wherever the body is; or an error.
  void end(uint64_t body, std::optional<Error> error);
  /// Everything ends with `shutting_down`, and so does what is asked from now on.
  void shut_down();

  // ---- the loops ----

  struct Transfer;  // what a body and the model share
  using Asked = Result<std::shared_ptr<Transfer>>;
  Task<Asked> ask(EventLoop& loop, std::string upstream, upstream::BlobRequest blob, bool is_head);
  void closed(const Transfer& transfer);

 private:
  struct Pending {
    Request request;
    EventLoop& loop;
    Completion<Asked>& done;
  };

  Asked asked(const Pending& pending, Answer answer);
  void check_is_alone(const Request& request);
  std::shared_ptr<Transfer> find(uint64_t body) const;
  static void send(const std::shared_ptr<Transfer>& transfer, Result<std::string> piece);

  World& world_;
  Complaints& complaints_;
  mutable std::mutex mutex_;
  uint64_t last_id_ = 0;
  bool is_shut_down_ = false;
  std::map<uint64_t, Pending> pending_;
  std::map<uint64_t, std::shared_ptr<Transfer>> open_;
};

/// What of a running body is shared. `arrived` and `reader` belong to the loop, `given` and `is_over` to the
/// test's thread.
struct ModelUpstream::Transfer {
  ModelUpstream& upstream;
  EventLoop& loop;
  const Request request;
  const std::string bytes;
  const std::optional<uint64_t> size;
  const uint64_t begin;

  uint64_t given = 0;  // up to where in `bytes`
  bool is_over = false;

  std::deque<Result<std::string>> arrived;
  Completion<Result<std::string>>* reader = nullptr;
  bool is_closed = false;
};

/// One loop's client of all the model's upstreams.
class ModelClient final : public upstream::Client {
 public:
  /// `origins`: how many each upstream has.
  ModelClient(ModelUpstream& upstream, EventLoop& loop, const std::map<std::string, size_t>& origins);
  ~ModelClient() override;
  void connect(std::span<upstream::Client* const>) override {}
  upstream::Registry* find(std::string_view name) override;
  void shut_down() override {}

 private:
  class ModelRegistry;
  std::vector<std::unique_ptr<ModelRegistry>> registries_;
};

}  // namespace entrepot::model
