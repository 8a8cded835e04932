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
#include "upstream/ecr_tokens.h"
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
  std::unique_ptr<EcrTokens> ecr;                // of `auth = "ecr"`

  /// What all upstreams of the process have in common.
  struct Common {
    std::shared_ptr<const CaStore> system_ca;  // taken without a `ca_file`
    const Clock& clock;
    Logger& logger;
    Metrics& metrics;
    DiskPool* errands;                    // where AWS is waited for; needed for `auth = "ecr"` alone
    const std::atomic<bool>& is_stopped;  // ends what waits there
  };
  /// Whether it needs `errands`.
  static bool is_at_ecr(const Settings& settings) {
    return settings.auth == Auth::ecr && has_credential(settings);
  }
  /// BLOCKING (`ca_file`). config_invalid, naming the upstream and the key.
  static Result<std::unique_ptr<Upstream>> make(Settings settings, const Common& common);
};

}  // namespace entrepot::upstream
