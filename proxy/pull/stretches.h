#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>

#include "base/task/completion.h"
#include "cache/extents.h"
#include "proxy/pull/context.h"
#include "proxy/pull/download.h"
#include "proxy/pull/part_writer.h"

namespace entrepot::pull {

/// What a fill fetches beside its main stream because somebody waits for it and the main stream would not
/// come by soon: stretches of the blob, each by a bounded Range of its own, into the same part. The main
/// stream then leaves out what is there or on its way: from the moment on at which the upstream has agreed to
/// the Range, so that a refusal costs the main stream nothing. Of one source, one origin (that of the main
/// stream) and one size; on the fill's home loop, shared with the flows that fetch.
///
/// Bounds: 16 stretches at once, of at most StretchSizes::longest each, and 1,024 wishes that wait. A wish
/// that is dropped, and a stretch that fails, are left to the main stream.
class Stretches : public std::enable_shared_from_this<Stretches> {
 public:
  /// `changed` is called when a stretch is over.
  Stretches(Context& context, WrongOrigins& wrong, Source source, std::shared_ptr<PartWriter> writer,
            size_t origin, uint64_t size, std::move_only_function<void()> changed);

  /// Somebody needs these bytes, and the main stream is at `main_at`.
  void want(cache::Extent wanted, uint64_t main_at);
  /// Begins nothing more. What is under way ends in its own time, and hands no more bytes over.
  void stop();
  bool is_idle() const { return running_.empty() && wishes_.empty(); }
  /// A Range was refused: nothing but the main stream works here.
  bool is_refused() const { return is_refused_; }

  /// The end of what is received or coming from `at` on; `at` itself when the main stream is to bring it.
  uint64_t taken_until(uint64_t at) const { return end_of_run(at, Counted::coming); }
  /// Where that begins again. REQUIRES: `at` is not taken.
  uint64_t free_until(uint64_t at) const { return next_run(at, Counted::coming); }
  /// What the main stream, at `at`, is to ask for next: not what is received, coming, or about to be
  /// answered. A stretch in there that is backing off is left to it. Empty: nothing, the stretches bring the
  /// rest.
  cache::Extent turn_main(uint64_t at);
  /// The first bytes that nobody has, or has asked for.
  std::optional<cache::Extent> hole() const { return hole_in({0, size_}); }

 private:
  struct Running {
    cache::Extent left;
    bool is_coming = false;  // the upstream has agreed
    Download* download = nullptr;
  };

  // Which stretches count beside what is received: those the upstream has agreed to; also those that wait
  // for its first answer; also those that are backing off.
  enum class Counted { coming, asked, all };
  static bool counts(const Running& one, Counted counted);

  uint64_t end_of_run(uint64_t at, Counted counted) const;
  uint64_t next_run(uint64_t at, Counted counted) const;
  std::optional<cache::Extent> hole_in(cache::Extent extent) const;
  bool is_overtaken(cache::Extent extent) const;
  void begin_more();
  static Task<void> run(std::shared_ptr<Stretches> self, std::list<Running>::iterator one);
  Task<Status> fetch(Running& one, Download& download);

  Context& context_;
  WrongOrigins& wrong_;
  const Source source_;
  const std::shared_ptr<PartWriter> writer_;
  const size_t origin_;
  const uint64_t size_;
  std::move_only_function<void()> changed_;
  std::deque<cache::Extent> wishes_;
  std::list<Running> running_;
  bool is_refused_ = false;
  bool is_stopped_ = false;
};

}  // namespace entrepot::pull
