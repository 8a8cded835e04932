#pragma once

#include <string>
#include <vector>

#include "proxy/config/config.h"

namespace entrepot::config {

/// The full names of the keys that differ: "cache.directory", "upstream.quay.io.url"; "upstream" where the
/// upstreams are others, or in another order.
std::vector<std::string> changed_keys(const Config& before, const Config& after);

}  // namespace entrepot::config
