#pragma once

#include <type_traits>
#include <utility>

#include "base/disk/disk_pool.h"
#include "base/loop/event_loop.h"
#include "base/task/completion.h"
#include "base/task/task.h"

namespace entrepot {

/// A leaf for flows on `loop`: runs `work()` in the pool and gives back what it returned. `work` owns all it
/// touches.
///
///     Result<Entry> entry = co_await run_on_disk(pool, loop, "look-up", std::move(work));
template <class Work, class T = std::invoke_result_t<Work>>
Task<T> run_on_disk(DiskPool& pool, EventLoop& loop, const char* name, Work work) {
  Completion<T> done;
  pool.submit(name, [work = std::move(work), &loop, &done]() mutable {
    T value = work();
    loop.post([&done, value = std::move(value)]() mutable { done.complete(std::move(value)); });
  });
  co_return co_await done;
}

}  // namespace entrepot
