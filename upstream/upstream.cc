#include "upstream/upstream.h"

#include <algorithm>
#include <utility>

namespace entrepot::upstream {
namespace {

tl::unexpected<Error> bad_key(const Settings& settings, std::string_view key, const Error& cause) {
  return fail(Errc::config_invalid,
              "upstream " + settings.name + ": " + std::string(key) + ": " + cause.message);
}

}  // namespace

Result<std::unique_ptr<Upstream>> Upstream::make(Settings settings, std::shared_ptr<const CaStore> system_ca,
                                                 Logger& logger, Metrics& metrics) {
  Result<Url> base = Url::parse(settings.url);
  if (!base) return bad_key(settings, "url", base.error());
  if (base->has_query())
    return bad_key(settings, "url", Error{Errc::config_invalid, "a query has no place here"});
  while (settings.url.ends_with('/')) settings.url.pop_back();

  std::vector<TrustedRealm> realms;
  for (const std::string& text : settings.trusted_realms) {
    Result<TrustedRealm> realm = TrustedRealm::parse(text);
    if (!realm) return bad_key(settings, "trusted_realms", realm.error());
    realms.push_back(std::move(*realm));
  }
  std::vector<Network> networks;
  for (const std::string& text : settings.allow_private) {
    Result<Network> network = Network::parse(text);
    if (!network) return bad_key(settings, "allow_private", network.error());
    networks.push_back(*network);
  }
  std::shared_ptr<const CaStore> ca = std::move(system_ca);
  if (!settings.ca_file.empty()) {
    Result<std::shared_ptr<const CaStore>> own = CaStore::load(settings.ca_file);
    if (!own) return bad_key(settings, "ca_file", own.error());
    ca = std::move(*own);
  }
  ConnectPolicy policy(*base, realms, std::move(networks), settings.proxy);
  UpstreamMetrics counters(metrics, settings.name);
  auto budget = std::make_unique<TransferBudget>(static_cast<size_t>(std::max(settings.max_connections, 1)));
  return std::unique_ptr<Upstream>(new Upstream{std::move(settings), std::move(*base), std::move(realms),
                                                std::move(policy), std::move(ca), std::move(counters),
                                                std::move(budget), logger});
}

}  // namespace entrepot::upstream
