#pragma once

#include <memory>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "upstream/ca_store.h"
#include "upstream/origin.h"
#include "upstream/settings.h"

namespace entrepot::upstream {

/// One configured upstream: its settings and its origins. Made once, before the loops run, immutable then and
/// shared by all of them.
struct Upstream {
  Settings settings;
  std::vector<std::unique_ptr<Origin>> origins;  // the url, then the mirrors

  /// BLOCKING (`ca_file`). config_invalid, naming the upstream and the key. `system_ca` is taken without a
  /// `ca_file`.
  static Result<std::unique_ptr<Upstream>> make(Settings settings, std::shared_ptr<const CaStore> system_ca,
                                                Logger& logger, Metrics& metrics);
};

}  // namespace entrepot::upstream
