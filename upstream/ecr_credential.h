#pragma once

#include <atomic>
#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "upstream/ca_store.h"
#include "upstream/credential_fetcher.h"
#include "upstream/settings.h"

namespace entrepot::upstream {

/// The authorization token of an upstream at Amazon ECR, or ECR Public, by AWS credentials. config_invalid,
/// naming the key, when the region or the API is nowhere to be found. BLOCKING (AWS_CA_BUNDLE, which wins
/// over `ca`). All that is given outlives it; the environment is the process's.
Result<std::unique_ptr<CredentialFetcher>> make_ecr_fetcher(const Settings& settings,
                                                            std::shared_ptr<const CaStore> ca,
                                                            const Clock& clock, Logger& logger,
                                                            const std::atomic<bool>& is_stopped);

}  // namespace entrepot::upstream
