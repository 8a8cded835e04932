#pragma once

#include "base/loop/event_loop.h"
#include "base/loop/timer.h"
#include "base/task/completion.h"
#include "base/task/task.h"

namespace entrepot {

/// A leaf for flows on `loop`: goes on after `duration`. Nothing ends it earlier: for short waits.
inline Task<void> sleep_on(EventLoop& loop, Duration duration) {
  Completion<bool> over;
  Timer timer(loop, "sleep");
  timer.start(duration, [&over] { over.complete(true); });
  co_await over;
}

}  // namespace entrepot
