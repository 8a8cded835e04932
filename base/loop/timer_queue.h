#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/clock.h"

struct uv_timer_s;

namespace entrepot {

class EventLoop;
class Timer;

/// The timers of one loop that are set, earliest first: a heap, and one libuv timer that is armed for the
/// earliest. What is due is told by the loop's Clock, not by libuv: so a test that moves its clock and wakes
/// the loop sees every time-out. Owned by its loop; loop's thread only.
///
/// Starting, moving and cancelling take O(log n) and allocate nothing but room in the heap. A timer that is
/// moved to a later time, as a deadline is with every byte that arrives, stays where it is until it surfaces,
/// and the libuv timer is not touched: it wakes once too early instead.
class TimerQueue {
 public:
  explicit TimerQueue(EventLoop& loop);
  /// REQUIRES: no timer is set, and the loop runs its close callbacks afterwards.
  ~TimerQueue();
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  /// Puts `timer` in, or moves it.
  void start(Timer& timer, Duration delay);
  /// REQUIRES: `timer` is set.
  void cancel(Timer& timer);

  /// Fires what is due, earliest first, and of the same time what was started first. What is started
  /// meanwhile waits for the loop's next turn, even with a delay of 0.
  void fire_due();

  /// When a timer is due, and its place among those of the same time.
  struct Due {
    MonotonicTime at;
    uint64_t order = 0;
    auto operator<=>(const Due&) const = default;
  };
  static constexpr size_t kNowhere = SIZE_MAX;

 private:
  struct Entry {
    Due due;  // never later than the timer's own
    Timer* timer;
  };

  void fire(Timer& timer);
  void put(size_t slot, Entry entry);
  void move_up(size_t slot, Entry entry);
  void move_down(size_t slot, Entry entry);
  void remove(size_t slot);
  void arm(MonotonicTime now);

  EventLoop& loop_;
  uv_timer_s* wake_;
  std::vector<Entry> heap_;
  uint64_t started_ = 0;
};

}  // namespace entrepot
