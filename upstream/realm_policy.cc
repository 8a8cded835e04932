#include "upstream/realm_policy.h"

#include <libpsl.h>

#include <algorithm>

#include "upstream/address_policy.h"

namespace entrepot::upstream {
namespace {

bool is_literal(std::string_view host) { return host.starts_with('[') || Address::parse(host).has_value(); }

// "docker.io" for "registry-1.docker.io"; empty for a public suffix itself, for IP literals and single
// labels.
std::string_view registrable_domain(const std::string& host) {
  if (is_literal(host) || host.find('.') == std::string::npos || host.ends_with('.')) return {};
  const char* domain = psl_registrable_domain(psl_builtin(), host.c_str());
  return domain == nullptr ? std::string_view() : std::string_view(domain);
}

bool are_siblings(const Url& a, const Url& b) {
  if (!a.is_https() || !b.is_https() || a.port() != 443 || b.port() != 443) return false;
  std::string_view domain = registrable_domain(a.host());
  return !domain.empty() && domain == registrable_domain(b.host());
}

}  // namespace

Result<TrustedRealm> TrustedRealm::parse(std::string_view text) {
  // Url's parser decides what a host and a port are; one that is spelt out differs from the default one
  // below.
  Result<Url> as_https = Url::parse("https://" + std::string(text));
  Result<Url> as_http = Url::parse("http://" + std::string(text));
  bool is_authority = text.find_first_of("/?#@") == std::string_view::npos;
  if (!is_authority || !as_https || !as_http)
    return fail(Errc::config_invalid, "'" + std::string(text) + "' is no host[:port]");
  bool has_port = as_https->port() == as_http->port();
  return TrustedRealm{as_https->host(), has_port ? as_https->port() : uint16_t{0}};
}

bool TrustedRealm::covers(const Url& url) const {
  uint16_t wanted = port != 0 ? port : static_cast<uint16_t>(url.is_https() ? 443 : 80);
  return host == url.host() && wanted == url.port();
}

RealmTrust judge_realm(const Url& registry, const Url& realm, std::span<const TrustedRealm> trusted) {
  if (registry.is_https() && !realm.is_https()) return RealmTrust::refused;
  if (registry.has_same_origin(realm) || are_siblings(registry, realm)) return RealmTrust::trusted;
  bool is_listed =
      std::ranges::any_of(trusted, [&](const TrustedRealm& entry) { return entry.covers(realm); });
  return is_listed ? RealmTrust::trusted : RealmTrust::anonymous;
}

}  // namespace entrepot::upstream
