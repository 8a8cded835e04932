#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "upstream/breaker.h"
#include "upstream/ca_store.h"
#include "upstream/client_identity.h"
#include "upstream/connect_policy.h"
#include "upstream/rate_limit.h"
#include "upstream/realm_policy.h"
#include "upstream/settings.h"
#include "upstream/transfer_budget.h"
#include "upstream/upstream_metrics.h"
#include "upstream/url.h"

namespace entrepot::upstream {

/// One of the places an upstream is fetched from, its url or a mirror, with everything that follows from its
/// settings: parsed, checked, loaded. Owned by the Upstream, immutable, shared by all loops. Connections,
/// challenges, tokens and the budget belong to one origin and are never another's.
struct Origin {
  std::string name;   // for messages: "docker.io", of a mirror "docker.io (mirror.test:443)"
  Settings settings;  // the upstream's; a mirror's have its own url and no credential
  Url base;
  std::vector<TrustedRealm> trusted_realms;
  ConnectPolicy connect_policy;
  std::shared_ptr<const CaStore> ca;
  std::shared_ptr<const ClientIdentity> identity;  // the url's alone; may be nothing
  UpstreamMetrics metrics;                         // the upstream's
  std::shared_ptr<TransferBudget> budget;          // of the url's host, also without a credential
  std::shared_ptr<Breaker> breaker;                // of the url's own host
  std::shared_ptr<Breaker> token_breaker;          // of its token service
  std::unique_ptr<RateLimitWatch> rate_limit;
  Logger& logger;

  /// What the origins of an upstream have in common.
  struct Common {
    std::shared_ptr<const CaStore> ca;
    UpstreamMetrics metrics;
    Metrics& all_metrics;
    Logger& logger;
  };
  /// At `settings.url`. config_invalid, naming the upstream and the key.
  static Result<std::unique_ptr<Origin>> make(Settings settings, const Common& common);
  /// At `url`, one of `settings.mirrors`; errors alike.
  static Result<std::unique_ptr<Origin>> make_mirror(Settings settings, std::string url,
                                                     const Common& common);
  /// The same place as `own`, asked without the credential. Shares what belongs to the host.
  static Result<std::unique_ptr<Origin>> make_anonymous(const Origin& own, const Common& common);
};

/// config_invalid: "upstream <name>: <key>: <cause>".
Error bad_key(const Settings& settings, std::string_view key, std::string_view cause);

}  // namespace entrepot::upstream
