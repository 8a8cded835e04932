#pragma once

#include <atomic>
#include <cstdint>

namespace entrepot::cache {

/// The one account of bytes in the cache directory, as the file system counts them: what is there, and what
/// is reserved for being written. Lock-free; any thread. Who adds bytes is the one who takes them off again,
/// or hands them over to somebody (part → index row → open descriptor of an evicted blob).
///
/// Blobs and parts may fill `blob_limit`; what is between that and `max_size` is for the index, refs.log and
/// directories, which grow by themselves, and for making a new refs.log beside the old.
class Ledger {
 public:
  explicit Ledger(uint64_t max_size) { set_max_size(max_size); }

  /// Nothing is taken away by it: who lowers it has the writer evict.
  void set_max_size(uint64_t max_size);
  /// The smallest max_size with which `overhead` bytes of index, log and directories leave room for anything.
  static uint64_t least_max_size(uint64_t overhead);

  /// Never blocks. False when blobs and parts would fill more than `blob_limit`.
  bool try_reserve(uint64_t bytes) { return try_add(bytes, blob_limit()); }
  /// For the index and the log: up to `max_size`.
  bool try_reserve_overhead(uint64_t bytes) { return try_add(bytes, max_size()); }
  /// For what is on disk already.
  void charge(uint64_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void release(uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  /// `counted` bytes, which are in `used`, turn out to be `now`: at once, so that nobody sees both.
  void recount(uint64_t counted, uint64_t now) { used_.fetch_add(now - counted, std::memory_order_relaxed); }

  uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t max_size() const { return max_size_.load(std::memory_order_relaxed); }
  uint64_t blob_limit() const { return blob_limit_.load(std::memory_order_relaxed); }
  /// The writer evicts by itself when more is used than this …
  uint64_t high_water() const { return blob_limit() - blob_limit() / 32; }
  /// … down to this.
  uint64_t low_water() const { return blob_limit() - blob_limit() / 16; }

  /// Bytes of removed files that somebody still has open. They are in `used`, but evicting more does not
  /// bring them back.
  std::atomic<uint64_t> lingering{0};
  /// Bytes that are reserved and not written yet: the file system counts them as free.
  std::atomic<uint64_t> unwritten{0};

 private:
  bool try_add(uint64_t bytes, uint64_t limit);

  std::atomic<uint64_t> max_size_{0};
  std::atomic<uint64_t> blob_limit_{0};
  std::atomic<uint64_t> used_{0};
};

}  // namespace entrepot::cache
