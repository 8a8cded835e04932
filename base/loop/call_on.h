#pragma once

#include <utility>

#include "base/loop/event_loop.h"
#include "base/task/completion.h"
#include "base/task/task.h"

// How a flow on one loop asks for something that another loop owns.

namespace entrepot {

namespace detail {

template <class T, class Start>
Task<void> answer_from(Start start, EventLoop& asker, Completion<T>& answer) {
  Task<T> task = start();
  T value = co_await std::move(task);
  Completion<T>* target = &answer;
  asker.post([target, value = std::move(value)]() mutable { target->complete(std::move(value)); });
}

}  // namespace detail

/// Runs `start()`, which makes a Task<T>, on `home` and gives back its value on `asker`, the loop that the
/// caller runs on. `start` and the value are moved between the threads; they must hold nothing that belongs
/// to one of them. The asking frame stays suspended until the answer is there, so references to it stay good.
template <class T, class Start>
Task<T> call_on(EventLoop& home, EventLoop& asker, Start start) {
  if (&home == &asker) {
    Task<T> task = start();
    co_return co_await std::move(task);
  }
  Completion<T> answer;
  home.post([start = std::move(start), &home, &asker, &answer]() mutable {
    home.spawn(detail::answer_from<T, Start>(std::move(start), asker, answer));
  });
  co_return co_await answer;
}

}  // namespace entrepot
