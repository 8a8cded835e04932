#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/mailbox.h"
#include "base/result.h"
#include "cache/file_use.h"
#include "cache/ledger.h"

namespace entrepot::cache {

/// Somebody who waits for the writer to evict. Shared between the two; one of them ends it.
class RoomRequest {
 public:
  explicit RoomRequest(uint64_t bytes) : bytes_(bytes) {}
  uint64_t bytes() const { return bytes_; }

  /// The writer. False when nobody waits any more: what was reserved for it is to be released.
  bool grant() { return end(State::granted); }
  void refuse() { end(State::refused); }
  bool is_waiting() const;
  /// The one who waits: true when granted before the deadline.
  bool wait(std::chrono::steady_clock::time_point deadline);

 private:
  enum class State { waiting, granted, refused, abandoned };
  bool end(State state);

  const uint64_t bytes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::waiting;
};

/// How parts get room: from the ledger and from what the file system has left beyond `min_free`; and when
/// there is none, by asking the index writer to evict. Any disk-pool thread.
class Room {
 public:
  /// `directory` is an open one of the file system in question, and outlives this.
  Room(std::shared_ptr<Ledger> ledger, std::shared_ptr<ClosingBox> wake, int directory, uint64_t min_free)
      : ledger_(std::move(ledger)), wake_(std::move(wake)), directory_(directory), min_free_(min_free) {}

  void set_min_free(uint64_t bytes) { min_free_.store(bytes, std::memory_order_relaxed); }
  uint64_t min_free() const { return min_free_.load(std::memory_order_relaxed); }

  /// BLOCKING, at most a second. Reserves `bytes`, which `use` owns then; disk_full when that is not to be
  /// had.
  Status take(FileUse& use, uint64_t bytes);
  /// The same without waiting.
  bool try_take(FileUse& use, uint64_t bytes);

  /// The writer: moves the requests that came to the back of `to`.
  template <class Container>
  void drain_requests(Container& to) {
    requests_.drain([&to](std::shared_ptr<RoomRequest>&& request) { to.push_back(std::move(request)); });
  }
  /// The writer: reserves in the ledger and answers. False when there is no room for it.
  bool try_grant(RoomRequest& request);
  /// How many bytes the file system lacks for `bytes` more beside min_free; 0 = enough.
  uint64_t file_system_shortage(uint64_t bytes) const;

 private:
  bool try_reserve(uint64_t bytes);

  const std::shared_ptr<Ledger> ledger_;
  const std::shared_ptr<ClosingBox> wake_;
  const int directory_;
  std::atomic<uint64_t> min_free_;
  Mailbox<std::shared_ptr<RoomRequest>> requests_;
};

}  // namespace entrepot::cache
