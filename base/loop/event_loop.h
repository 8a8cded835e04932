#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/metrics.h"
#include "base/task/ready_queue.h"
#include "base/task/task.h"

struct uv_loop_s;
struct uv_async_s;
struct uv_prepare_s;

namespace entrepot {

class StallWatch;
class TimerQueue;

/// One libuv loop and its thread. Everything that belongs to a loop (connections, transfers, timers, flows,
/// its share of the fills) is touched by its thread alone; other threads `post` to it.
///
/// Life: constructed by main; `run()` on its own thread until `stop()`; destroyed, with every other loop's
/// thread ended, after the owners of its timers and watches. Mail that was posted too late is destroyed
/// unrun.
class EventLoop {
 public:
  using Job = std::move_only_function<void()>;

  EventLoop(int index, const Clock& clock, Logger& logger, Metrics& metrics);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Serves until `stop()`. The calling thread becomes the loop's.
  void run();
  /// Any thread. `run` returns when what was posted before has run. REQUIRES: flows() == 0, else they never
  /// end.
  void stop();

  /// Any thread: `job` runs on the loop's thread, after what this thread posted before. Never blocks. When
  /// the mail is done, so are the timers that are due by the Clock.
  void post(Job job);
  /// Any thread: how many posted jobs have been begun. A test sees by it that nothing moves any more.
  uint64_t jobs_begun() const { return jobs_begun_.load(std::memory_order_relaxed); }

  /// The loop's thread: starts a flow that nobody waits for.
  void spawn(Task<void> flow);
  /// Any thread: how many spawned flows have not ended.
  int flows() const { return flows_; }

  int index() const { return index_; }
  bool is_current_thread() const {
    return std::this_thread::get_id() == thread_.load(std::memory_order_relaxed);
  }
  const Clock& clock() const { return clock_; }
  Logger& logger() const { return logger_; }
  /// "libuv 1.44.2"
  static std::string library_version();
  /// The loop's thread, in a callback: how long the loop had been at work since its poll when this callback
  /// began.
  MonotonicTime::duration iteration_so_far() const;
  /// For Timer.
  TimerQueue& timers() const { return *timers_; }
  /// For the wrappers in this folder and the curl driver.
  uv_loop_s* uv() const { return uv_.get(); }

  /// Every libuv callback of ours runs inside one of these: it names the work for the stall watch and, when
  /// the outermost ends, resumes the flows that became ready.
  class Callback {
   public:
    Callback(EventLoop& loop, const char* name);
    ~Callback();
    Callback(const Callback&) = delete;
    Callback& operator=(const Callback&) = delete;

   private:
    EventLoop& loop_;
    const char* name_;
    bool is_outermost_;
    MonotonicTime begun_;
  };

 private:
  friend class Callback;
  static Task<void> run_flow(EventLoop& loop, Task<void> flow);
  void take_mail();

  const int index_;
  const Clock& clock_;
  Logger& logger_;
  std::unique_ptr<uv_loop_s> uv_;
  uv_async_s* wake_ = nullptr;
  uv_prepare_s* before_poll_ = nullptr;
  std::unique_ptr<StallWatch> stall_watch_;
  std::unique_ptr<TimerQueue> timers_;
  Mailbox<Job> mail_;
  std::deque<Job> taken_mail_;           // out of the box, in its order
  std::atomic<uint64_t> jobs_begun_{0};  // written by the loop's thread alone
  ReadyQueue ready_;
  std::atomic<std::thread::id> thread_;
  bool in_callback_ = false;
  std::atomic<int> flows_{0};
};

}  // namespace entrepot
