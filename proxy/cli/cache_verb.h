#pragma once

#include "proxy/cli/cli.h"
#include "proxy/config/config.h"

namespace entrepot::cli {

/// Performs `ls`, `stats`, `pin`, `unpin` or `purge`: by the daemon that listens on the control socket, or,
/// when there is none, on the cache directory itself, which is locked meanwhile. Prints what it has to say
/// and gives the exit code. BLOCKING.
int run_cache_verb(const Command& command, const config::Config& config);

}  // namespace entrepot::cli
