#pragma once

#include <atomic>
#include <span>
#include <string>
#include <vector>

#include "base/disk/disk_pool.h"
#include "base/loop/loop_group.h"
#include "base/result.h"
#include "base/task/task.h"
#include "proxy/manage/verbs.h"
#include "proxy/pull/puller.h"
#include "proxy/registry/registry_handler.h"

namespace entrepot::daemon {

/// The verbs on the cache while it serves: they run in a pool of one thread, one after the other, and what
/// the loops remember of what was purged is forgotten before the answer is given. All that is given outlives
/// it, and is there before the loops run.
class CacheVerbs {
 public:
  /// `pool`: of one thread.
  CacheVerbs(LoopGroup& loops, DiskPool& pool, cache::Cache& cache,
             std::span<const upstream::Settings> upstreams, const Clock& clock,
             std::vector<pull::Puller*> pullers, std::vector<registry::RegistryHandler*> handlers,
             std::function<void(cache::DamagedBlob)> damaged);

  /// Any thread. What is under way is left off soon.
  void end() { verbs_.end(); }
  /// Any loop, which is `loop`. Errors: those of Verbs::perform; overloaded when too many wait.
  Task<Result<std::string>> call(EventLoop& loop, std::string verb, std::string request);

 private:
  void forget(const cache::Repository& repository, const std::vector<std::string>& tags);
  Task<bool> finish_forgetting(EventLoop& loop);

  LoopGroup& loops_;
  DiskPool& pool_;
  const std::vector<pull::Puller*> pullers_;
  const std::vector<registry::RegistryHandler*> handlers_;
  manage::Verbs verbs_;  // the pool's thread
  std::atomic<int> waiting_{0};
};

}  // namespace entrepot::daemon
