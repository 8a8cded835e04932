#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/mailbox.h"
#include "cache/cache.h"
#include "cache/file_use.h"

namespace entrepot::cache {

struct CommitMessage {
  Commit commit;
  Cache::Done done;
};

/// A part's file has got its final name. Sent before the commit that names the blob can be.
struct PlacedMessage {
  Digest digest;
  uint64_t generation = 0;  // of the part
  uint64_t size = 0;
  uint64_t disk_bytes = 0;
  std::shared_ptr<FileUse> use;
};

/// A part was left, and wants its place in the order of eviction; or was dropped (then with its `use`).
struct PartLeftMessage {
  Digest digest;
  uint64_t generation = 0;
  uint64_t length = 0;   // how far its content goes
  uint64_t written = 0;  // its content altogether
  std::shared_ptr<FileUse> use;
};

/// A look-up found something wrong with a committed blob.
struct DropMessage {
  Digest digest;
  std::string complaint = {};
  uint64_t bad_inode = 0;  // the file that does not hash to its name; 0 when it is missing or of another size
  bool is_unreadable = false;  // the disk gave an error for it: not too many of these at once are believed
  std::move_only_function<void()> gone = {};  // called on the writer's thread when it has been dropped
};

/// A file was found that hashes to its name, and that the index does not know.
struct AdoptMessage {
  Digest digest;
  uint64_t size = 0;
  uint64_t disk_bytes = 0;
};

/// The same, of one that does not hash to its name.
struct StrayMessage {
  Digest digest;
  uint64_t inode = 0;
};

/// Of what a rebuild has found, all before `key` have been hashed, and what was wrong was told in messages
/// before this one; "" = all there are.
struct ProvenMessage {
  std::string key = {};
};

struct ListenerMessage {
  std::move_only_function<void(const Digest&)> forget;
};

/// The limits have changed.
struct LimitsMessage {};

struct StopMessage {};

using Message = std::variant<CommitMessage, PlacedMessage, PartLeftMessage, DropMessage, ListenerMessage,
                             AdoptMessage, StrayMessage, ProvenMessage, LimitsMessage, StopMessage>;

/// What others tell the index writer. Posting never blocks; any thread. What one thread posts, or posts after
/// having heard of another's post, is taken in that order.
class Inbox {
 public:
  explicit Inbox(std::shared_ptr<ClosingBox> closing) : closing_(std::move(closing)) {}

  void post(Message message) {
    if (messages_.post(std::move(message))) closing_->wake();
  }
  /// Touches wait for the next commit and wake the writer only when none waited before. Beyond a bound they
  /// are dropped.
  void touch(const Digest& digest) {
    if (waiting_touches_.fetch_add(1, std::memory_order_relaxed) >= kMaxWaitingTouches) {
      waiting_touches_.fetch_sub(1, std::memory_order_relaxed);
      return;
    }
    if (touches_.post(digest)) closing_->wake();
  }

  /// The writer's thread.
  template <class Use>
  void drain(Use&& use) {
    messages_.drain(use);
  }
  void drain_touches(std::vector<Digest>& to) {
    size_t count = touches_.drain([&to](const Digest& digest) { to.push_back(digest); });
    waiting_touches_.fetch_sub(count, std::memory_order_relaxed);
  }
  bool has_touches() const { return !touches_.is_empty(); }

 private:
  static constexpr size_t kMaxWaitingTouches = 65536;

  const std::shared_ptr<ClosingBox> closing_;
  Mailbox<Message> messages_;
  Mailbox<Digest> touches_;
  std::atomic<size_t> waiting_touches_{0};
};

}  // namespace entrepot::cache
