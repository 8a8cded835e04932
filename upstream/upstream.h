#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/disk/disk_pool.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "upstream/ca_store.h"
#include "upstream/kept_credential.h"
#include "upstream/origin.h"
#include "upstream/public_repositories.h"
#include "upstream/settings.h"

namespace entrepot::upstream {

/// One configured upstream: its settings and its origins. Made once, before the loops run, immutable then and
/// shared by all of them.
struct Upstream {
  Settings settings;
  std::vector<std::unique_ptr<Origin>> origins;  // the url, then the mirrors
  std::unique_ptr<Origin> anonymous;             // of `access = "public"`: the url without the credential
  std::unique_ptr<PublicRepositories> proven;    // of the same
  std::unique_ptr<KeptCredential> kept;          // of `auth = "ecr"` and `docker_config`

  /// What all upstreams of the process have in common.
  struct Common {
    std::shared_ptr<const CaStore> system_ca;  // taken without a `ca_file`
    const Clock& clock;
    Logger& logger;
    Metrics& metrics;
    DiskPool* errands;                    // where credentials are waited for, when any upstream needs_errands
    const std::atomic<bool>& is_stopped;  // ends what waits there
  };
  /// Whether its credential comes from elsewhere.
  static bool needs_errands(const Settings& settings) {
    return has_credential(settings) && (settings.auth == Auth::ecr || !settings.docker_config.empty());
  }
  /// BLOCKING (`ca_file`). config_invalid, naming the upstream and the key.
  static Result<std::unique_ptr<Upstream>> make(Settings settings, const Common& common);
};

}  // namespace entrepot::upstream
