#pragma once

#include <memory>
#include <utility>

#include "base/loop/timer.h"
#include "base/loop/wait.h"
#include "proxy/pull/context.h"

namespace entrepot::pull {

/// A leaf for flows: waits until the index holds `commit` durably. An io_error after `patience`: then it may
/// do so later.
inline Task<Status> commit_to(Context& context, cache::Commit commit, DiskPatience patience = {}) {
  auto wait = std::make_shared<Wait<Status>>();
  Timer timer(context.loop, "commit");
  if (patience)
    timer.start(*patience,
                [wait] { wait->end(fail(Errc::io_error, "the index has not been written in time")); });
  context.cache.commit(std::move(commit), [wait, &loop = context.loop](Status status) {
    loop.post([wait, status = std::move(status)]() mutable { wait->end(std::move(status)); });
  });
  co_return co_await wait->done;
}

}  // namespace entrepot::pull
