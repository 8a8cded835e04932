#include "base/loop/poll_watch.h"

#include <uv.h>

#include "base/check.h"
#include "base/loop/event_loop.h"

namespace entrepot {

static_assert(PollWatch::kReadable == UV_READABLE && PollWatch::kWritable == UV_WRITABLE &&
              PollWatch::kDisconnect == UV_DISCONNECT && PollWatch::kErrors == UV_PRIORITIZED);

struct PollWatch::Handle {
  uv_poll_t uv;
  EventLoop& loop;
  const char* name;
  Ready on_ready;
  int mask = 0;
  bool is_closed = false;
  bool is_in_callback = false;

  static void call(uv_poll_t* uv, int status, int events) {
    auto* handle = static_cast<Handle*>(uv->data);
    EventLoop::Callback callback(handle->loop, handle->name);
    // The callable must outlive its own call, even when it destroys the watch.
    handle->is_in_callback = true;
    handle->on_ready(events, status < 0);
    handle->is_in_callback = false;
    if (handle->is_closed) handle->on_ready = nullptr;
  }
};

PollWatch::PollWatch(EventLoop& loop, const char* name, int fd, Ready on_ready)
    : handle_(new Handle{{}, loop, name, std::move(on_ready)}) {
  CHECK(uv_poll_init(loop.uv(), &handle_->uv, fd) == 0);
  handle_->uv.data = handle_;
}

PollWatch::~PollWatch() {
  handle_->is_closed = true;
  if (!handle_->is_in_callback) handle_->on_ready = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_->uv),
           [](uv_handle_t* uv) { delete static_cast<Handle*>(uv->data); });
}

void PollWatch::want(int mask) {
  // libuv 1.44 takes the descriptor out of epoll and back in for every uv_poll_start, even for the same mask.
  if (mask == handle_->mask) return;
  handle_->mask = mask;
  if (mask == 0) {
    uv_poll_stop(&handle_->uv);
  } else {
    CHECK(uv_poll_start(&handle_->uv, mask, &Handle::call) == 0);
  }
}

}  // namespace entrepot
