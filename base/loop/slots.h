#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <utility>

#include "base/loop/event_loop.h"
#include "base/loop/timer.h"
#include "base/task/completion.h"
#include "base/task/task.h"

namespace entrepot {

/// So many at once and no more: who comes later waits for his turn, in order. Lives on one loop, and longer
/// than every Slot.
class Slots {
 public:
  /// One of them; given back with the object, on the loop.
  class Slot {
   public:
    Slot() = default;
    Slot(Slot&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
    Slot& operator=(Slot&& other) noexcept {
      std::swap(slots_, other.slots_);
      return *this;
    }
    ~Slot() { release(); }

    void release() {
      if (slots_ != nullptr) std::exchange(slots_, nullptr)->give_back();
    }
    explicit operator bool() const { return slots_ != nullptr; }

   private:
    friend class Slots;
    explicit Slot(Slots& slots) : slots_(&slots) {}
    Slots* slots_ = nullptr;
  };

  Slots(EventLoop& loop, size_t count) : loop_(loop), free_(count) {}

  /// An empty one when none has become free within `patience`.
  Task<Slot> take(Duration patience) {
    if (free_ > 0) {
      --free_;
      co_return Slot(*this);
    }
    Completion<bool> turn;
    waiting_.push_back(&turn);
    Timer timer(loop_, "slots");
    timer.start(patience, [this, &turn] {
      if (std::erase(waiting_, &turn) > 0) turn.complete(false);  // else the turn is on its way
    });
    bool is_ours = co_await turn;
    co_return is_ours ? Slot(*this) : Slot();
  }

 private:
  void give_back() {
    if (waiting_.empty()) {
      ++free_;
      return;
    }
    Completion<bool>* next = waiting_.front();
    waiting_.pop_front();
    next->complete(true);
  }

  EventLoop& loop_;
  size_t free_;
  std::deque<Completion<bool>*> waiting_;
};

}  // namespace entrepot
