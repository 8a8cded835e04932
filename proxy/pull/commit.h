#pragma once

#include <utility>

#include "base/task/completion.h"
#include "proxy/pull/context.h"

namespace entrepot::pull {

/// A leaf for flows: waits until the index holds `commit` durably.
inline Task<Status> commit_to(Context& context, cache::Commit commit) {
  Completion<Status> done;
  context.cache.commit(std::move(commit), [&done, &loop = context.loop](Status status) {
    loop.post([&done, status = std::move(status)]() mutable { done.complete(std::move(status)); });
  });
  co_return co_await done;
}

}  // namespace entrepot::pull
