#include "base/loop/timer.h"

#include "base/loop/event_loop.h"

namespace entrepot {

Timer::Timer(EventLoop& loop, const char* name) : loop_(loop), name_(name) {}

Timer::~Timer() { cancel(); }

void Timer::start(Duration delay, std::move_only_function<void()> fire) {
  fire_ = std::move(fire);
  loop_.timers().start(*this, delay);
}

void Timer::cancel() {
  if (is_set()) loop_.timers().cancel(*this);
  fire_ = nullptr;
}

}  // namespace entrepot
