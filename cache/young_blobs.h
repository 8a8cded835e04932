#pragma once

#include <chrono>
#include <ctime>
#include <mutex>
#include <unordered_set>

#include "base/clock.h"
#include "base/digest.h"

namespace entrepot::cache {

inline WallTime wall_time_of(const struct timespec& time) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::seconds(time.tv_sec) +
                                                                 std::chrono::nanoseconds(time.tv_nsec)));
}

/// The blobs that were written between the last clean stop and this run, each until it was found to be right.
/// Any thread.
class YoungBlobs {
 public:
  YoungBlobs(WallTime since, WallTime this_run) : since_(since), this_run_(this_run) {}

  bool is_doubtful(const Digest& digest, const struct timespec& written) {
    // The row's time is in milliseconds.
    WallTime time = wall_time_of(written);
    if (time + std::chrono::milliseconds(1) < since_ || time > this_run_) return false;
    std::lock_guard lock(mutex_);
    return !proven_.contains(digest);
  }
  void prove(const Digest& digest) {
    std::lock_guard lock(mutex_);
    if (proven_.size() >= kMostProven) proven_.clear();
    proven_.insert(digest);
  }

 private:
  static constexpr size_t kMostProven = 1'000'000;

  const WallTime since_;
  const WallTime this_run_;
  std::mutex mutex_;
  std::unordered_set<Digest, DigestHash> proven_;
};

}  // namespace entrepot::cache
