#pragma once

#include "base/result.h"
#include "proxy/config/config.h"

namespace entrepot::daemon {

/// `entrepot serve`: serves until SIGTERM or SIGINT, drains, and gives back. A second signal cuts what is
/// left. Errors: what kept it from starting. The calling thread becomes the one that waits for signals.
Status serve(const config::Config& config);

}  // namespace entrepot::daemon
