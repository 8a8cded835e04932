#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "base/disk/disk_patience.h"
#include "base/disk/disk_pool.h"
#include "base/loop/event_loop.h"
#include "base/loop/wait.h"
#include "base/result.h"
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

/// The same for those who can do without the disk, when it hangs: an io_error when `patience` has run out, or
/// at once when the pool is stuck. T is a Result. `work` runs on all the same; what it gives is destroyed in
/// the pool. One that takes long tells its `progress`.
template <class Work, class T = std::invoke_result_t<Work>>
Task<T> run_on_disk_within(DiskPatience patience, DiskPool& pool, EventLoop& loop, const char* name,
                           Work work,
                           std::shared_ptr<JobProgress> progress = std::make_shared<JobProgress>()) {
  if (patience && pool.is_stuck()) co_return fail(Errc::io_error, "the disk hangs");
  auto wait = std::make_shared<Wait<T>>();
  pool.submit(name, [work = std::move(work), &pool, &loop, name, wait, progress]() mutable {
    progress->begin();
    T value = work();
    loop.post([wait = std::move(wait), value = std::move(value), &pool, name]() mutable {
      if (wait->is_over())
        pool.submit(name, [value = std::move(value)] { static_cast<void>(value); });
      else
        wait->end(std::move(value));
    });
  });
  PatienceTimer timer(loop, pool, name, patience, progress, [wait, name] {
    wait->end(fail(Errc::io_error, std::string("the disk has not answered in time: ") + name));
  });
  co_return co_await wait->done;
}

}  // namespace entrepot
