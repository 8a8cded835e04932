#include "base/task/ready_queue.h"

#include <utility>

#include "base/check.h"

namespace entrepot {
namespace {

thread_local ReadyQueue* this_thread_queue = nullptr;

}  // namespace

ReadyQueue& ReadyQueue::of_this_thread() {
  CHECK(this_thread_queue != nullptr);
  return *this_thread_queue;
}

void ReadyQueue::drain() {
  if (is_draining_) return;
  is_draining_ = true;
  while (!ready_.empty()) {
    std::swap(ready_, running_);
    for (std::coroutine_handle<> handle : running_) handle.resume();
    running_.clear();
  }
  is_draining_ = false;
}

ReadyQueue::Scope::Scope(ReadyQueue& queue) : previous_(std::exchange(this_thread_queue, &queue)) {}
ReadyQueue::Scope::~Scope() { this_thread_queue = previous_; }

}  // namespace entrepot
