#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/disk/disk_pool.h"
#include "base/loop/timer.h"

namespace entrepot {

/// How long whoever can do without the disk waits for a job that makes no progress; nothing: as long as it
/// takes.
using DiskPatience = std::optional<Duration>;

/// What jobs of one kind, one at a time, tell of themselves to those who wait for them. Written by whoever
/// runs them, read by any thread.
class JobProgress {
 public:
  void begin() { beat_.fetch_add(1, std::memory_order_relaxed); }
  /// Within a job that takes long.
  void step() { beat_.fetch_add(2, std::memory_order_relaxed); }
  void end() { beat_.fetch_add(1, std::memory_order_relaxed); }

  uint64_t beat() const { return beat_.load(std::memory_order_relaxed); }
  static bool is_running(uint64_t beat) { return beat % 2 == 1; }

 private:
  std::atomic<uint64_t> beat_{0};
};

/// Calls `give_up` once, on the loop, when a job has run for `patience` without a step, or waits behind
/// others in a pool that is stuck. One that has to wait for its turn because there is much to do is waited
/// for. Owned by the flow that waits; destroying it ends the watch.
class PatienceTimer {
 public:
  PatienceTimer(EventLoop& loop, const DiskPool& pool, const char* name, DiskPatience patience,
                std::shared_ptr<const JobProgress> progress, std::move_only_function<void()> give_up)
      : pool_(pool), timer_(loop, name), progress_(std::move(progress)), give_up_(std::move(give_up)) {
    if (!patience) return;
    between_looks_ = *patience / kLooks;
    seen_ = progress_->beat();
    look_again();
  }

 private:
  static constexpr int kLooks = 4;

  void look_again() {
    timer_.start(between_looks_, [this] { look(); });
  }
  void look() {
    uint64_t beat = progress_->beat();
    bool is_running = JobProgress::is_running(beat);
    looks_ = std::exchange(seen_, beat) == beat && is_running ? looks_ + 1 : 0;
    bool is_over = is_running ? looks_ >= kLooks - 1 : pool_.is_stuck();
    is_over ? give_up_() : look_again();
  }

  const DiskPool& pool_;
  Timer timer_;
  std::shared_ptr<const JobProgress> progress_;
  std::move_only_function<void()> give_up_;
  Duration between_looks_{0};
  uint64_t seen_ = 0;
  int looks_ = 0;
};

}  // namespace entrepot
