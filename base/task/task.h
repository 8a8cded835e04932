#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/task/ready_queue.h"

// Task<T>: a flow, written as a coroutine. README.md in this folder has the subset of the language that flows
// keep to on g++ 12, and why. In short: `co_await` stands alone in a statement, its arguments are names or
// std::move(name), no lambda is a coroutine, no parameter is an rvalue reference, and a suspended frame is
// never destroyed.

namespace entrepot {

template <class T>
class Task;

namespace detail {

struct TaskPromiseBase {
  std::coroutine_handle<> continuation;
  bool is_detached = false;

  // Where a finished task hands over: to the flow that waits for it, by the ready queue, or to nobody.
  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
      TaskPromiseBase& promise = handle.promise();
      if (promise.continuation) {
        ReadyQueue::of_this_thread().push(promise.continuation);
      } else if (promise.is_detached) {
        handle.destroy();
      }
    }
    void await_resume() noexcept {}
  };

  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { std::terminate(); }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() { return std::move(*value); }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  Task<void> get_return_object();
  void return_void() noexcept {}
  void take() {}
};

}  // namespace detail

/// A flow that has not been started, or runs. Starts when it is awaited, in the awaiting flow's place; a flow
/// that finishes without waiting costs no turn of the loop. Move-only; the frame lives until the Task goes,
/// and it may go only when the flow is done or was never started.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)), is_started_(other.is_started_) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (!handle_) return;
    CHECK(!is_started_ || handle_.done());
    handle_.destroy();
  }

  bool await_ready() {
    is_started_ = true;
    handle_.resume();
    return handle_.done();
  }
  void await_suspend(std::coroutine_handle<> waiting) { handle_.promise().continuation = waiting; }
  T await_resume() { return handle_.promise().take(); }

  /// Starts the flow with nobody waiting; its frame frees itself at the end.
  void detach() && {
    Handle handle = std::exchange(handle_, nullptr);
    handle.promise().is_detached = true;
    handle.resume();
  }

 private:
  Handle handle_;
  bool is_started_ = false;
};

namespace detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() {
  return Task<T>(Task<T>::Handle::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() {
  return Task<void>(Task<void>::Handle::from_promise(*this));
}

// An rvalue-reference parameter dangles at the first suspension; a closure as first parameter is a lambda's
// own state, which dies with the lambda. Both compile silently in standard C++, so both are refused here.
template <class Argument>
constexpr bool is_closure = requires {
  &std::remove_cvref_t<Argument>::operator();
};

template <class... Arguments>
constexpr bool coroutine_parameters_are_safe = (!std::is_rvalue_reference_v<Arguments> && ...) &&
                                               (!(std::is_reference_v<Arguments> &&
                                                  is_closure<Arguments>)&&...);

}  // namespace detail
}  // namespace entrepot

template <class T, class... Arguments>
struct std::coroutine_traits<entrepot::Task<T>, Arguments...> {
  static_assert(entrepot::detail::coroutine_parameters_are_safe<Arguments...>,
                "a Task takes no T&& parameter and is no lambda");
  using promise_type = entrepot::detail::TaskPromise<T>;
};
