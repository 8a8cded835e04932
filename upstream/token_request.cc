#include "upstream/token_request.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace entrepot::upstream {
namespace {

// "repository:a:pull repository:b:pull" → one parameter for each.
Result<TransportRequest> by_get(const Url& realm, std::string_view service, std::string_view scopes,
                                const Secret& authorization) {
  std::vector<Url::Parameter> parameters;
  if (!service.empty()) parameters.emplace_back("service", service);
  while (!scopes.empty()) {
    size_t end = std::min(scopes.find(' '), scopes.size());
    if (end > 0) parameters.emplace_back("scope", scopes.substr(0, end));
    scopes.remove_prefix(std::min(end + 1, scopes.size()));
  }
  ENTREPOT_TRY_ASSIGN(Url url, realm.with_parameters(parameters));
  return TransportRequest{
      .url = std::move(url), .accept = "application/json", .authorization = authorization};
}

TransportRequest by_post(const Url& realm, std::string_view service, std::string_view scopes,
                         const Secret& identity_token) {
  std::vector<Url::Parameter> parameters = {{"grant_type", "refresh_token"}, {"client_id", "entrepot"}};
  if (!service.empty()) parameters.emplace_back("service", service);
  parameters.emplace_back("scope", scopes);
  parameters.emplace_back("refresh_token", identity_token.reveal());
  return TransportRequest{.method = Method::post,
                          .url = realm,
                          .accept = "application/json",
                          .form = Secret(Url::encoded(parameters))};
}

}  // namespace

Result<TransportRequest> token_request(const Url& realm, std::string_view service, std::string_view scopes,
                                       const Credential& shown) {
  if (!shown.identity_token.is_empty()) return by_post(realm, service, scopes, shown.identity_token);
  return by_get(realm, service, scopes, shown.authorization);
}

}  // namespace entrepot::upstream
