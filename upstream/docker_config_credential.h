#pragma once

#include <atomic>
#include <memory>

#include "base/log.h"
#include "base/result.h"
#include "upstream/credential_fetcher.h"
#include "upstream/settings.h"

namespace entrepot::upstream {

/// The credential of an upstream out of `settings.docker_config`, its helpers run. Looked at again each
/// minute, and when the credential is refused. All that is given outlives it.
std::unique_ptr<CredentialFetcher> make_docker_config_fetcher(const Settings& settings, Logger& logger,
                                                              const std::atomic<bool>& is_stopped);

}  // namespace entrepot::upstream
