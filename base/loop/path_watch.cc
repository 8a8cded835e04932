#include "base/loop/path_watch.h"

#include <uv.h>

#include "base/check.h"
#include "base/loop/event_loop.h"

namespace entrepot {

struct PathWatch::Handle {
  uv_fs_event_t uv;
  EventLoop& loop;
  const char* name;
  std::function<void()> on_change;

  static void call(uv_fs_event_t* uv, const char*, int, int) {
    auto* handle = static_cast<Handle*>(uv->data);
    EventLoop::Callback callback(handle->loop, handle->name);
    if (handle->on_change) handle->on_change();
  }
};

PathWatch::PathWatch(EventLoop& loop, const char* name, std::function<void()> on_change)
    : handle_(new Handle{{}, loop, name, std::move(on_change)}) {
  CHECK(uv_fs_event_init(loop.uv(), &handle_->uv) == 0);
  handle_->uv.data = handle_;
}

PathWatch::~PathWatch() {
  handle_->on_change = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_->uv),
           [](uv_handle_t* uv) { delete static_cast<Handle*>(uv->data); });
}

bool PathWatch::start(const std::string& directory) {
  return uv_fs_event_start(&handle_->uv, &Handle::call, directory.c_str(), 0) == 0;
}

}  // namespace entrepot
