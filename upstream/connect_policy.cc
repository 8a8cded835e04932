#include "upstream/connect_policy.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

namespace entrepot::upstream {
namespace {

std::optional<Address> literal_of(const Url& url) {
  std::string_view host = url.host();
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return Address::parse(host);
}

}  // namespace

ConnectPolicy::ConnectPolicy(Url configured, std::vector<TrustedRealm> trusted, std::vector<Network> allowed,
                             std::string proxy)
    : configured_(std::move(configured)), trusted_(std::move(trusted)), allowed_(std::move(allowed)) {
  if (proxy != "env") {
    add_proxy(proxy);
    return;
  }
  for (const char* name : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
    if (const char* value = std::getenv(name)) add_proxy(value);
}

// Host and port of a proxy URL of any scheme, as an http URL: curl's default port for proxies is 1080.
void ConnectPolicy::add_proxy(std::string_view text) {
  if (text.empty()) return;
  knows_a_proxy_ = true;
  size_t scheme = text.find("://");
  if (scheme != std::string_view::npos) text.remove_prefix(scheme + 3);
  text = text.substr(0, text.find_first_of("/?#"));
  text.remove_prefix(text.rfind('@') + 1);
  if (text.empty()) return;
  bool has_port = text.rfind(':') != std::string_view::npos && !text.ends_with(']');
  Result<Url> url = Url::parse("http://" + std::string(text) + (has_port ? "" : ":1080"));
  if (url) proxies_.push_back(std::move(*url));
}

bool ConnectPolicy::may_ask(const Url& url) const {
  std::optional<Address> literal = literal_of(url);
  return !literal || is_named_by_operator(url) || upstream::may_dial(*literal, allowed_);
}

bool ConnectPolicy::may_dial(const Url& url, const Address& address, uint16_t port) const {
  return is_named_by_operator(url) || upstream::may_dial(address, allowed_) || is_proxy(address, port);
}

bool ConnectPolicy::is_named_by_operator(const Url& url) const {
  if (url.host() != configured_.host()) return false;
  if (url.port() == configured_.port()) return true;
  return std::ranges::any_of(trusted_,
                             [&](const TrustedRealm& realm) { return realm.port != 0 && realm.covers(url); });
}

bool ConnectPolicy::is_proxy(const Address& address, uint16_t port) const {
  return std::ranges::any_of(proxies_, [&](const Url& proxy) {
    std::optional<Address> literal = literal_of(proxy);
    bool is_other = literal && (literal->size != address.size || literal->bytes != address.bytes);
    return proxy.port() == port && !is_other;
  });
}

}  // namespace entrepot::upstream
