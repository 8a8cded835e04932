#include "base/loop/timer_queue.h"

#include <uv.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/loop/event_loop.h"
#include "base/loop/timer.h"

namespace entrepot {
namespace {

// Beyond what anybody waits for, and short enough to be added to a time.
constexpr Duration kLongestDelay = std::chrono::hours(24 * 365 * 10);

}  // namespace

TimerQueue::TimerQueue(EventLoop& loop) : loop_(loop), wake_(new uv_timer_t) {
  CHECK(uv_timer_init(loop.uv(), wake_) == 0);
  wake_->data = this;
}

TimerQueue::~TimerQueue() {
  CHECK(heap_.empty());
  uv_close(reinterpret_cast<uv_handle_t*>(wake_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_timer_t*>(handle); });
}

void TimerQueue::start(Timer& timer, Duration delay) {
  MonotonicTime now = loop_.clock().monotonic();
  timer.due_ = Due{now + std::clamp(delay, Duration(0), kLongestDelay), ++started_};
  if (timer.slot_ == kNowhere) {
    heap_.push_back({});
    move_up(heap_.size() - 1, Entry{timer.due_, &timer});
  } else if (timer.due_ < heap_[timer.slot_].due) {
    move_up(timer.slot_, Entry{timer.due_, &timer});
  }
  arm(now);
}

void TimerQueue::cancel(Timer& timer) { remove(timer.slot_); }

void TimerQueue::fire_due() {
  if (heap_.empty()) return;
  MonotonicTime now = loop_.clock().monotonic();
  Due last{now, started_};
  while (!heap_.empty() && heap_.front().due <= last) {
    Timer& timer = *heap_.front().timer;
    if (heap_.front().due < timer.due_) {
      move_down(0, Entry{timer.due_, &timer});
    } else {
      remove(0);
      fire(timer);
    }
  }
  arm(now);
}

void TimerQueue::fire(Timer& timer) {
  EventLoop::Callback callback(loop_, timer.name_);
  // The timer may be destroyed by its own action.
  auto action = std::exchange(timer.fire_, nullptr);
  if (action) action();
}

// Rounded up, since libuv counts whole milliseconds. Its time is rounded down, so it may wake us a little too
// early; the Clock then sends it to sleep again.
void TimerQueue::arm(MonotonicTime now) {
  if (heap_.empty()) return;
  auto delay = std::max(std::chrono::ceil<Duration>(heap_.front().due.at - now), Duration(0));
  auto milliseconds = static_cast<uint64_t>(delay.count());
  // The loop's time is cached; after long work it would wake us too early.
  uv_update_time(loop_.uv());
  bool is_armed = uv_is_active(reinterpret_cast<const uv_handle_t*>(wake_)) != 0;
  if (is_armed && uv_timer_get_due_in(wake_) <= milliseconds) return;
  auto on_timer = [](uv_timer_t* uv) { static_cast<TimerQueue*>(uv->data)->fire_due(); };
  CHECK(uv_timer_start(wake_, on_timer, milliseconds, 0) == 0);
}

void TimerQueue::put(size_t slot, Entry entry) {
  heap_[slot] = entry;
  entry.timer->slot_ = slot;
}

void TimerQueue::move_up(size_t slot, Entry entry) {
  while (slot > 0) {
    size_t parent = (slot - 1) / 2;
    if (heap_[parent].due <= entry.due) break;
    put(slot, heap_[parent]);
    slot = parent;
  }
  put(slot, entry);
}

void TimerQueue::move_down(size_t slot, Entry entry) {
  while (true) {
    size_t child = 2 * slot + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].due < heap_[child].due) ++child;
    if (entry.due <= heap_[child].due) break;
    put(slot, heap_[child]);
    slot = child;
  }
  put(slot, entry);
}

void TimerQueue::remove(size_t slot) {
  heap_[slot].timer->slot_ = kNowhere;
  Entry last = heap_.back();
  heap_.pop_back();
  if (slot == heap_.size()) return;
  if (slot > 0 && last.due < heap_[(slot - 1) / 2].due)
    move_up(slot, last);
  else
    move_down(slot, last);
}

}  // namespace entrepot
