#include "base/loop/timer.h"

#include <uv.h>

#include "base/check.h"
#include "base/loop/event_loop.h"

namespace entrepot {

// libuv must find the handle alive until its close callback, which may be after the Timer has gone.
struct Timer::Handle {
  uv_timer_t uv;
  EventLoop& loop;
  const char* name;
  std::move_only_function<void()> fire;
};

Timer::Timer(EventLoop& loop, const char* name) : handle_(new Handle{{}, loop, name, {}}) {
  CHECK(uv_timer_init(loop.uv(), &handle_->uv) == 0);
  handle_->uv.data = handle_;
}

Timer::~Timer() {
  handle_->fire = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_->uv),
           [](uv_handle_t* uv) { delete static_cast<Handle*>(uv->data); });
}

void Timer::start(Duration delay, std::move_only_function<void()> fire) {
  handle_->fire = std::move(fire);
  // The loop's clock is cached; after long work it would make the timer early.
  uv_update_time(handle_->loop.uv());
  auto milliseconds = static_cast<uint64_t>(delay.count() < 0 ? 0 : delay.count());
  auto on_timer = [](uv_timer_t* uv) {
    auto* handle = static_cast<Handle*>(uv->data);
    EventLoop::Callback callback(handle->loop, handle->name);
    auto action = std::move(handle->fire);
    handle->fire = nullptr;
    if (action) action();
  };
  CHECK(uv_timer_start(&handle_->uv, on_timer, milliseconds, 0) == 0);
}

void Timer::cancel() {
  handle_->fire = nullptr;
  uv_timer_stop(&handle_->uv);
}

bool Timer::is_set() const { return uv_is_active(reinterpret_cast<const uv_handle_t*>(&handle_->uv)) != 0; }

}  // namespace entrepot
