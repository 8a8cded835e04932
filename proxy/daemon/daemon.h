#pragma once

#include <functional>
#include <tl/expected.hpp>
#include <vector>

#include "base/result.h"
#include "proxy/config/config.h"

namespace entrepot::daemon {

/// Reads the configuration again, as it was read for the start.
using LoadConfig = std::function<tl::expected<config::Config, std::vector<config::ConfigError>>()>;

/// `entrepot serve`: serves until SIGTERM or SIGINT, drains, and gives back. A second signal cuts what is
/// left. At SIGHUP it reads its configuration with `load_again`, and takes over what can change while it
/// serves (docs/configuration.md, "Reload"); what is wrong with it is logged and changes nothing. Errors:
/// what kept it from starting. The calling thread becomes the one that waits for signals.
Status serve(const config::Config& config, const LoadConfig& load_again);

}  // namespace entrepot::daemon
