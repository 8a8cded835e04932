#include "upstream/origin.h"

#include <algorithm>
#include <utility>

#include "upstream/credentials.h"

namespace entrepot::upstream {
namespace {

Result<Url> parse_base(const Settings& settings, std::string_view key) {
  Result<Url> base = Url::parse(settings.url);
  if (!base) return fail(bad_key(settings, key, base.error().message));
  if (base->has_query()) return fail(bad_key(settings, key, "a query has no place here"));
  return base;
}

// The credential is the url's alone: here there is none that could be sent, whoever asks for it.
void forget_credential(Settings& settings) {
  settings.auth = Auth::anonymous;
  settings.access = Access::anonymous;
  settings.username.clear();
  settings.password_file.clear();
  settings.password_env.clear();
  settings.docker_config.clear();
  settings.client_certificate.clear();
  settings.client_key.clear();
}

Result<std::unique_ptr<Origin>> make_at(Url base, std::string name, Settings settings,
                                        const Origin::Common& common) {
  while (settings.url.ends_with('/')) settings.url.pop_back();
  std::vector<TrustedRealm> realms;
  for (const std::string& text : settings.trusted_realms) {
    Result<TrustedRealm> realm = TrustedRealm::parse(text);
    if (!realm) return fail(bad_key(settings, "trusted_realms", realm.error().message));
    realms.push_back(std::move(*realm));
  }
  std::vector<Network> networks;
  for (const std::string& text : settings.allow_private) {
    Result<Network> network = Network::parse(text);
    if (!network) return fail(bad_key(settings, "allow_private", network.error().message));
    networks.push_back(*network);
  }
  std::shared_ptr<const ClientIdentity> identity;
  if (!settings.client_certificate.empty()) {
    Result<std::shared_ptr<const ClientIdentity>> loaded =
        ClientIdentity::load(settings.client_certificate, settings.client_key);
    if (!loaded) return fail(bad_key(settings, "client_certificate", loaded.error().message));
    identity = std::move(*loaded);
  }
  ConnectPolicy policy(base, realms, std::move(networks), settings.proxy);
  auto budget = std::make_shared<TransferBudget>(static_cast<size_t>(std::max(settings.max_connections, 1)));
  Duration patience = settings.connect_timeout + settings.header_timeout;
  auto breaker = std::make_shared<Breaker>(patience);
  auto token_breaker = std::make_shared<Breaker>(patience);
  auto rate_limit =
      std::make_unique<RateLimitWatch>(common.all_metrics, common.logger, name, has_credential(settings));
  return std::unique_ptr<Origin>(
      new Origin{std::move(name), std::move(settings), std::move(base), std::move(realms), std::move(policy),
                 common.ca, std::move(identity), common.metrics, std::move(budget), std::move(breaker),
                 std::move(token_breaker), std::move(rate_limit), common.logger});
}

}  // namespace

Error bad_key(const Settings& settings, std::string_view key, std::string_view cause) {
  return Error{Errc::config_invalid,
               "upstream " + settings.name + ": " + std::string(key) + ": " + std::string(cause)};
}

Result<std::unique_ptr<Origin>> Origin::make(Settings settings, const Common& common) {
  ENTREPOT_TRY_ASSIGN(Url base, parse_base(settings, "url"));
  std::string name = settings.name;
  return make_at(std::move(base), std::move(name), std::move(settings), common);
}

Result<std::unique_ptr<Origin>> Origin::make_mirror(Settings settings, std::string url,
                                                    const Common& common) {
  settings.url = std::move(url);
  forget_credential(settings);
  ENTREPOT_TRY_ASSIGN(Url base, parse_base(settings, "mirrors"));
  std::string name = settings.name + " (" + base.authority() + ")";
  return make_at(std::move(base), std::move(name), std::move(settings), common);
}

Result<std::unique_ptr<Origin>> Origin::make_anonymous(const Origin& own, const Common& common) {
  Settings settings = own.settings;
  forget_credential(settings);
  Url base = own.base;
  std::string name = settings.name + " (without the credential)";
  ENTREPOT_TRY_ASSIGN(std::unique_ptr<Origin> origin,
                      make_at(std::move(base), std::move(name), std::move(settings), common));
  origin->rate_limit = std::make_unique<RateLimitWatch>(common.all_metrics, common.logger, own.name, false);
  origin->budget = own.budget;
  origin->breaker = own.breaker;
  origin->token_breaker = own.token_breaker;
  return origin;
}

}  // namespace entrepot::upstream
