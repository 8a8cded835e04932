#pragma once

#include <functional>

#include "base/clock.h"
#include "base/loop/timer_queue.h"

namespace entrepot {

class EventLoop;

/// A one-shot timer of a loop, by the loop's Clock. Owned by whoever waits; destroying it cancels it. Loop's
/// thread only.
class Timer {
 public:
  /// `name` says what the timer is for, in the stall watch.
  Timer(EventLoop& loop, const char* name);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Calls `fire` once after `delay`, instead of what was set before. `fire` may destroy the timer.
  void start(Duration delay, std::move_only_function<void()> fire);
  void cancel();
  bool is_set() const { return slot_ != TimerQueue::kNowhere; }

 private:
  friend class TimerQueue;

  EventLoop& loop_;
  const char* name_;
  std::move_only_function<void()> fire_;
  TimerQueue::Due due_;
  size_t slot_ = TimerQueue::kNowhere;  // in the queue's heap
};

}  // namespace entrepot
