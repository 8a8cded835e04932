#pragma once

#include <memory>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "upstream/ca_store.h"
#include "upstream/connect_policy.h"
#include "upstream/realm_policy.h"
#include "upstream/settings.h"
#include "upstream/transfer_budget.h"
#include "upstream/upstream_metrics.h"
#include "upstream/url.h"

namespace entrepot::upstream {

/// One configured upstream with everything that follows from its settings: parsed, checked, loaded. Made
/// once, before the loops run, immutable then and shared by all of them.
struct Upstream {
  Settings settings;
  Url base;
  std::vector<TrustedRealm> trusted_realms;
  ConnectPolicy connect_policy;
  std::shared_ptr<const CaStore> ca;
  UpstreamMetrics metrics;
  std::unique_ptr<TransferBudget> budget;
  Logger& logger;

  /// BLOCKING (`ca_file`). config_invalid, naming the upstream and the key. `system_ca` is taken without a
  /// `ca_file`.
  static Result<std::unique_ptr<Upstream>> make(Settings settings, std::shared_ptr<const CaStore> system_ca,
                                                Logger& logger, Metrics& metrics);
};

}  // namespace entrepot::upstream
