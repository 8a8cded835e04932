#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/disk/disk_pool.h"

namespace entrepot::model {

/// A disk pool whose jobs run when the test says so, in the order it chooses, on threads of the pool.
class ManualDiskPool final : public DiskPool {
 public:
  explicit ManualDiskPool(size_t threads) {
    for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  /// Runs what was started and drops the rest. REQUIRES: nobody waits for the rest.
  ~ManualDiskPool() override {
    {
      std::lock_guard lock(mutex_);
      is_stopping_ = true;
    }
    has_started_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void submit(const char* name, Job job) override {
    std::lock_guard lock(mutex_);
    waiting_.push_back({name, std::move(job)});
  }

  bool is_stuck() const override { return is_stuck_; }
  /// Says so of itself, whatever it does.
  void set_stuck(bool is) { is_stuck_ = is; }

  /// Jobs that have not been chosen yet.
  size_t waiting() const {
    std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  /// Jobs that were chosen and not started.
  size_t chosen() const {
    std::lock_guard lock(mutex_);
    return chosen_.size();
  }
  /// Jobs that were started and have not ended.
  size_t running() const {
    std::lock_guard lock(mutex_);
    return started_.size() + running_;
  }

  /// Chooses the job `index` of those that wait, oldest first, and gives back its name: "" when there is
  /// none.
  std::string choose(size_t index) {
    std::lock_guard lock(mutex_);
    if (index >= waiting_.size()) return "";
    auto job = waiting_.begin() + static_cast<std::ptrdiff_t>(index);
    std::string name = job->name;
    chosen_.push_back(std::move(*job));
    waiting_.erase(job);
    return name;
  }
  /// Starts the first `count` of what was chosen, and waits until no more than `left` of it has not ended.
  /// False: that took longer than `patience`, as when a job waits for room in the cache.
  bool run(size_t count, Duration patience, size_t left = 0) {
    std::unique_lock lock(mutex_);
    for (; count > 0 && !chosen_.empty(); --count) {
      started_.push_back(std::move(chosen_.front()));
      chosen_.pop_front();
      has_started_.notify_one();
    }
    return has_ended_.wait_for(lock, patience, [&] { return started_.size() + running_ <= left; });
  }

 private:
  struct Named {
    const char* name;
    Job job;
  };

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      has_started_.wait(lock, [this] { return is_stopping_ || !started_.empty(); });
      if (started_.empty()) return;
      Named next = std::move(started_.front());
      started_.pop_front();
      ++running_;
      lock.unlock();
      next.job();
      next.job = nullptr;
      lock.lock();
      --running_;
      has_ended_.notify_all();
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable has_started_;
  std::condition_variable has_ended_;
  std::deque<Named> waiting_;
  std::deque<Named> chosen_;
  std::deque<Named> started_;
  size_t running_ = 0;
  bool is_stopping_ = false;
  std::atomic<bool> is_stuck_{false};
  std::vector<std::thread> threads_;
};

}  // namespace entrepot::model
