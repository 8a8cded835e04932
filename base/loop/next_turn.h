#pragma once

#include "base/loop/event_loop.h"
#include "base/task/completion.h"
#include "base/task/task.h"

namespace entrepot {

/// A leaf for flows on `loop` that do much without ever waiting: goes on behind what is posted already, so
/// that others get their turn.
inline Task<void> next_turn(EventLoop& loop) {
  Completion<bool> turn;
  loop.post([&turn] { turn.complete(true); });
  co_await turn;
}

}  // namespace entrepot
