#include "base/loop/event_loop.h"

#include <uv.h>

#include "base/check.h"
#include "base/loop/stall_watch.h"
#include "base/loop/timer_queue.h"

namespace entrepot {
namespace {

constexpr std::chrono::milliseconds kMailTime{3};

}  // namespace

EventLoop::EventLoop(int index, const Clock& clock, Logger& logger, Metrics& metrics)
    : index_(index),
      clock_(clock),
      logger_(logger),
      uv_(std::make_unique<uv_loop_s>()),
      stall_watch_(std::make_unique<StallWatch>(index, logger, metrics)) {
  CHECK(uv_loop_init(uv_.get()) == 0);
  uv_->data = this;
  timers_ = std::make_unique<TimerQueue>(*this);

  wake_ = new uv_async_t;
  wake_->data = this;
  CHECK(uv_async_init(uv_.get(), wake_, [](uv_async_t* handle) {
          auto* loop = static_cast<EventLoop*>(handle->data);
          loop->take_mail();
          loop->timers_->fire_due();
        }) == 0);

  before_poll_ = new uv_prepare_t;
  before_poll_->data = this;
  CHECK(uv_prepare_init(uv_.get(), before_poll_) == 0);
  CHECK(uv_prepare_start(before_poll_, [](uv_prepare_t* handle) {
          static_cast<EventLoop*>(handle->data)->stall_watch_->before_poll();
        }) == 0);
  uv_unref(reinterpret_cast<uv_handle_t*>(before_poll_));
}

EventLoop::~EventLoop() {
  timers_.reset();
  uv_close(reinterpret_cast<uv_handle_t*>(wake_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_async_t*>(handle); });
  uv_close(reinterpret_cast<uv_handle_t*>(before_poll_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_prepare_t*>(handle); });
  uv_run(uv_.get(), UV_RUN_DEFAULT);  // the close callbacks, ours and those of the owners before us
  CHECK(uv_loop_close(uv_.get()) == 0);
}

std::string EventLoop::library_version() { return std::string("libuv ") + uv_version_string(); }

void EventLoop::run() {
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  ReadyQueue::Scope scope(ready_);
  stall_watch_->begin();
  uv_run(uv_.get(), UV_RUN_DEFAULT);
}

void EventLoop::stop() {
  post([this] { uv_stop(uv_.get()); });
}

void EventLoop::post(Job job) {
  // uv_async_send writes to a descriptor; the box says when that is needed.
  if (mail_.post(std::move(job))) uv_async_send(wake_);
}

// While a thread waits for the processor its mail piles up. What does not fit into this iteration's share
// comes after the next poll, so that sockets and timers get their turn.
void EventLoop::take_mail() {
  Callback callback(*this, "mailbox");
  mail_.drain([this](Job&& job) { taken_mail_.push_back(std::move(job)); });
  MonotonicTime until = std::chrono::steady_clock::now() + kMailTime;
  while (!taken_mail_.empty()) {
    Job job = std::move(taken_mail_.front());
    taken_mail_.pop_front();
    jobs_begun_.store(jobs_begun() + 1, std::memory_order_relaxed);
    job();
    ready_.drain();
    if (!taken_mail_.empty() && std::chrono::steady_clock::now() > until) {
      uv_async_send(wake_);
      return;
    }
  }
}

void EventLoop::spawn(Task<void> flow) {
  ++flows_;
  run_flow(*this, std::move(flow)).detach();
}

Task<void> EventLoop::run_flow(EventLoop& loop, Task<void> flow) {
  co_await std::move(flow);
  --loop.flows_;
}

MonotonicTime::duration EventLoop::iteration_so_far() const { return stall_watch_->iteration_so_far(); }

EventLoop::Callback::Callback(EventLoop& loop, const char* name)
    : loop_(loop), name_(name), is_outermost_(!loop.in_callback_) {
  if (!is_outermost_) return;
  loop_.in_callback_ = true;
  begun_ = loop_.stall_watch_->callback_begins();
}

EventLoop::Callback::~Callback() {
  if (!is_outermost_) return;
  loop_.ready_.drain();
  loop_.in_callback_ = false;
  loop_.stall_watch_->callback_ends(name_, begun_);
}

}  // namespace entrepot
