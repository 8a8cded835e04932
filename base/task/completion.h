#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/task/ready_queue.h"

namespace entrepot {

/// The border between flows and pumps: one value that a pump gives later and a flow waits for.
///
///     Completion<Result<size_t>> sent;            // in the flow's frame
///     connection.send(head, sent);                // the pump keeps a pointer
///     Result<size_t> result = co_await sent;
///
/// Lives on one loop; `complete` is called there, exactly once, also when the work was cancelled: the pump
/// finishes early with Errc::cancelled, and the flow runs on. So whoever holds the pointer always lets go of
/// it by completing.
template <class T>
class Completion {
 public:
  Completion() = default;
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;
  ~Completion() { CHECK(!waiting_); }

  void complete(T value) {
    CHECK(!value_.has_value());
    value_.emplace(std::move(value));
    if (waiting_) ReadyQueue::of_this_thread().push(std::exchange(waiting_, nullptr));
  }
  bool is_complete() const { return value_.has_value(); }

  // A small awaiter by value: g++ 12 copies awaiters that are returned by reference.
  class Awaiter {
   public:
    explicit Awaiter(Completion& completion) : completion_(&completion) {}
    bool await_ready() const { return completion_->value_.has_value(); }
    void await_suspend(std::coroutine_handle<> handle) const {
      CHECK(!completion_->waiting_);
      completion_->waiting_ = handle;
    }
    T await_resume() const {
      T value = std::move(*completion_->value_);
      completion_->value_.reset();
      return value;
    }

   private:
    Completion* completion_;
  };
  Awaiter operator co_await() { return Awaiter(*this); }

 private:
  std::optional<T> value_;
  std::coroutine_handle<> waiting_;
};

}  // namespace entrepot
