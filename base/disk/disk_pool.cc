#include "base/disk/disk_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/mailbox.h"

namespace entrepot {
namespace {

constexpr std::chrono::seconds kSlowJob{2};

}  // namespace

// Submitters are event loops, which must not wait for a lock: a loop pushes onto a lock-free box and wakes
// with an atomic. Workers take turns (the mutex is theirs alone) to empty the box into the queue.
class ThreadedDiskPool::Threads {
 public:
  Threads(size_t count, Logger& logger, Metrics& metrics)
      : logger_(logger),
        jobs_(metrics.counter("entrepot_disk_jobs_total", "Jobs run by the disk pool")),
        waiting_(metrics.gauge("entrepot_disk_jobs_waiting", "Jobs that wait for a disk thread")),
        at_work_since_(count) {
    for (size_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, i] { work(at_work_since_[i]); });
      pthread_setname_np(threads_.back().native_handle(), ("disk-" + std::to_string(i)).c_str());
    }
  }

  ~Threads() {
    stopping_ = true;
    posted_.fetch_add(1);
    posted_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void submit(const char* name, Job job) {
    waiting_.add(1);
    inbox_.post(Named{name, std::move(job)});
    posted_.fetch_add(1);
    posted_.notify_one();
  }

  bool are_stuck() const {
    int64_t latest = now() - std::chrono::steady_clock::duration(kSlowJob).count();
    return std::ranges::all_of(at_work_since_, [latest](const std::atomic<int64_t>& since) {
      int64_t begun = since.load(std::memory_order_relaxed);
      return begun != kIdle && begun < latest;
    });
  }

 private:
  static constexpr int64_t kIdle = 0;
  static int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

  struct Named {
    const char* name;
    Job job;
  };

  void work(std::atomic<int64_t>& since) {
    while (true) {
      uint32_t seen = posted_.load();
      Named next{nullptr, {}};
      {
        std::lock_guard lock(workers_);
        inbox_.drain([this](Named&& named) { queue_.push_back(std::move(named)); });
        if (!queue_.empty()) {
          next = std::move(queue_.front());
          queue_.pop_front();
        }
      }
      if (next.name != nullptr) {
        since.store(now(), std::memory_order_relaxed);
        run(next);
        since.store(kIdle, std::memory_order_relaxed);
      } else if (stopping_) {
        return;
      } else {
        posted_.wait(seen);
      }
    }
  }

  void run(Named& named) {
    waiting_.add(-1);
    jobs_.add();
    auto begun = std::chrono::steady_clock::now();
    named.job();
    auto took = std::chrono::steady_clock::now() - begun;
    if (took > kSlowJob)
      logger_.warn("disk job {} took {} ms", named.name,
                   std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  }

  Logger& logger_;
  Counter jobs_;
  Gauge waiting_;
  Mailbox<Named> inbox_;
  std::atomic<uint32_t> posted_{0};
  std::atomic<bool> stopping_{false};
  std::mutex workers_;
  std::deque<Named> queue_;
  std::vector<std::atomic<int64_t>> at_work_since_;  // of each thread, by the steady clock
  std::vector<std::thread> threads_;
};

ThreadedDiskPool::ThreadedDiskPool(size_t threads, Logger& logger, Metrics& metrics)
    : threads_(std::make_unique<Threads>(threads, logger, metrics)) {}

ThreadedDiskPool::~ThreadedDiskPool() = default;

bool ThreadedDiskPool::is_stuck() const { return threads_->are_stuck(); }

void ThreadedDiskPool::submit(const char* name, Job job) { threads_->submit(name, std::move(job)); }

}  // namespace entrepot
