#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/clock.h"
#include "base/digest.h"

namespace entrepot::cache {

inline WallTime wall_time_of(const struct timespec& time) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::seconds(time.tv_sec) +
                                                                 std::chrono::nanoseconds(time.tv_nsec)));
}

/// The blobs whose files nobody has hashed since they may have been damaged, each until it was found to be
/// right:
/// - those that were written between the last clean stop and this run, when that run ended in a crash;
/// - those that a rebuild of the index has found, until somebody has gone through all of them in the order of
///   their keys. That may take longer than a run; how far it got is in the index (`RebuiltRow`).
///
/// Any thread.
class DoubtfulBlobs {
 public:
  /// Before anybody looks something up, as set_rebuilt.
  void set_unclean(WallTime since, WallTime this_run) { unclean_.emplace(since, this_run); }
  /// Written until `until`, and with keys from `from` on.
  void set_rebuilt(WallTime until, std::string from) {
    rebuilt_until_ = until;
    rebuilt_from_ = std::move(from);
  }

  bool is_doubtful(const Digest& digest, const struct timespec& written) {
    WallTime time = wall_time_of(written);
    // The rows' times are in milliseconds.
    constexpr std::chrono::milliseconds kRounding{1};
    bool is_of_crash = unclean_ && time + kRounding >= unclean_->first && time <= unclean_->second;
    if (!is_of_crash && !rebuilt_until_) return false;
    std::lock_guard lock(mutex_);
    bool is_of_rebuild =
        rebuilt_from_ && time <= *rebuilt_until_ + kRounding && digest.key() >= *rebuilt_from_;
    return (is_of_crash || is_of_rebuild) && !proven_.contains(digest);
  }
  /// This file of it is wrong: it is as good as not there, while it waits to be dropped. The next one may
  /// have the same inode.
  void refute(const Digest& digest, uint64_t inode, const struct timespec& written) {
    std::lock_guard lock(mutex_);
    if (refuted_.size() >= kMostRefuted) refuted_.clear();
    refuted_.insert_or_assign(digest, std::pair(inode, wall_time_of(written)));
  }
  bool is_refuted(const Digest& digest, uint64_t inode, const struct timespec& written) const {
    std::lock_guard lock(mutex_);
    auto known = refuted_.find(digest);
    return known != refuted_.end() && known->second == std::pair(inode, wall_time_of(written));
  }
  void prove(const Digest& digest) {
    std::lock_guard lock(mutex_);
    if (proven_.size() >= kMostProven) proven_.clear();
    proven_.insert(digest);
  }

  /// Where those of a rebuild begin; nothing: there are none.
  std::optional<std::string> rebuilt_from() const {
    std::lock_guard lock(mutex_);
    return rebuilt_from_;
  }
  WallTime rebuilt_until() const { return rebuilt_until_.value_or(WallTime{}); }
  /// All before `key` have been hashed, and what was wrong was dropped; "" = all there are.
  void prove_rebuilt(const std::string& key) {
    std::lock_guard lock(mutex_);
    if (!rebuilt_from_) return;
    if (key.empty())
      rebuilt_from_.reset();
    else
      rebuilt_from_ = std::max(*rebuilt_from_, key);
  }

 private:
  static constexpr size_t kMostProven = 1'000'000;
  static constexpr size_t kMostRefuted = 10'000;

  std::optional<std::pair<WallTime, WallTime>> unclean_;
  std::optional<WallTime> rebuilt_until_;
  mutable std::mutex mutex_;
  std::optional<std::string> rebuilt_from_;
  std::unordered_set<Digest, DigestHash> proven_;
  std::unordered_map<Digest, std::pair<uint64_t, WallTime>, DigestHash> refuted_;  // inode, written
};

}  // namespace entrepot::cache
