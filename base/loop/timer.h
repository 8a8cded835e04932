#pragma once

#include <functional>

#include "base/clock.h"

struct uv_timer_s;

namespace entrepot {

class EventLoop;

/// A one-shot timer of a loop. Owned by whoever waits; destroying it cancels it. Loop's thread only.
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
  bool is_set() const;

 private:
  struct Handle;
  Handle* handle_;
};

}  // namespace entrepot
