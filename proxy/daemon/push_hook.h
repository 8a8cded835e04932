#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/disk/disk_pool.h"
#include "base/loop/loop_group.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/task/task.h"
#include "proxy/admin/hook_handler.h"
#include "proxy/pull/puller.h"
#include "proxy/registry/registry_handler.h"
#include "proxy/warm/prefetcher.h"
#include "upstream/settings.h"

namespace entrepot::daemon {

/// The secret path element of the hooks listener: one line of 16 to 256 letters, digits, `-` and `_`.
/// BLOCKING. config_invalid, naming the file.
Result<Secret> load_hook_secret(const std::string& file);

/// What a push event does here: its tags, and the tag lists of its repository, are asked for before they are
/// given again, also within their `tag_ttl`; and they are prefetched, when there is a prefetcher. All that is
/// given outlives it, and is there before the loops run.
class PushHook {
 public:
  PushHook(LoopGroup& loops, DiskPool& compute, std::span<const upstream::Settings> upstreams,
           std::vector<pull::Puller*> pullers, std::vector<registry::RegistryHandler*> handlers,
           warm::Prefetcher* prefetcher)
      : loops_(loops),
        compute_(compute),
        upstreams_(upstreams),
        pullers_(std::move(pullers)),
        handlers_(std::move(handlers)),
        prefetcher_(prefetcher) {}

  /// Any loop, which is `loop`.
  Task<Result<admin::HookOutcome>> take(EventLoop& loop, std::string body);

 private:
  Task<Status> announce(EventLoop& loop, cache::Repository repository, std::vector<std::string> tags);
  /// On the loop of both.
  static Task<bool> forget_there(pull::Puller& puller, registry::RegistryHandler& handler,
                                 cache::Repository repository);

  LoopGroup& loops_;
  DiskPool& compute_;
  const std::span<const upstream::Settings> upstreams_;
  const std::vector<pull::Puller*> pullers_;
  const std::vector<registry::RegistryHandler*> handlers_;
  warm::Prefetcher* const prefetcher_;  // nullptr: nothing is prefetched
};

}  // namespace entrepot::daemon
