#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace entrepot {
class EventLoop;
}

namespace entrepot::upstream {

/// How many transfers of one upstream run at once, on all loops together (`max_connections`). Bulk transfers
/// (blobs) leave an eighth to the short ones (manifests, tokens), so that long downloads never keep a
/// manifest waiting. Counts by atomics; nobody blocks.
///
/// Who gets nothing says so by `wait`; when a transfer ends, all who wait are told, each on his own loop, and
/// try again.
class TransferBudget {
 public:
  explicit TransferBudget(size_t limit);
  ~TransferBudget();

  /// Before the loops run: a number for `wait`. `try_again` is called on `loop`; it and the budget outlive
  /// the loops' run.
  size_t join(EventLoop& loop, std::function<void()> try_again);

  // Any loop.
  bool try_take(bool is_bulk);
  void give_back(bool is_bulk);
  /// REQUIRES: followed by one more `try_take`, since a transfer may have ended before this was called.
  void wait(size_t member);
  size_t limit() const { return limit_; }

 private:
  struct Member;
  static bool take_one(std::atomic<size_t>& count, size_t limit);

  const size_t limit_;
  const size_t bulk_limit_;
  std::atomic<size_t> running_{0};
  std::atomic<size_t> bulk_{0};
  std::vector<std::unique_ptr<Member>> members_;
};

}  // namespace entrepot::upstream
