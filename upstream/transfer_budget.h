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

/// What a transfer is for, and so how long it may hold its connection.
enum class TransferClass {
  brief,   // manifests, tokens, HEAD
  bulk,    // a blob that goes to the disk, as fast as it comes
  bypass,  // a blob that is streamed to one client, at his pace
};

/// How many transfers of one origin run at once, on all loops together (`max_connections`). Blobs leave an
/// eighth to the brief ones, so that long downloads never keep a manifest waiting, and bypasses at least half
/// of the blobs' share to the bulk ones, so that slow clients never keep a fill waiting. (With one or two
/// connections there is one for blobs, whatever they are for.) Counts by atomics; nobody blocks.
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
  bool try_take(TransferClass transfer_class);
  void give_back(TransferClass transfer_class);
  /// REQUIRES: followed by one more `try_take`, since a transfer may have ended before this was called.
  void wait(size_t member);
  size_t limit() const { return limit_; }

 private:
  struct Member;
  static bool take_one(std::atomic<size_t>& count, size_t limit);

  const size_t limit_;
  const size_t blob_limit_;    // of bulk and bypass together
  const size_t bypass_limit_;  // of bypass alone
  std::atomic<size_t> running_{0};
  std::atomic<size_t> blobs_{0};
  std::atomic<size_t> bypasses_{0};
  std::vector<std::unique_ptr<Member>> members_;
};

}  // namespace entrepot::upstream
