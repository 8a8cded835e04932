#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "upstream/address_policy.h"
#include "upstream/realm_policy.h"
#include "upstream/url.h"

namespace entrepot::upstream {

/// Which addresses one upstream's requests may dial. Immutable, shared by all loops.
///
///  - The configured url itself: any address. The operator named it.
///  - A realm in `trusted_realms` with its port, on the configured url's own host: any address, for the same
///  reason.
///  - The configured proxy, by its port (and its address, when that is a literal): any address.
///  - All else (redirect targets, realms on other hosts, also trusted ones): public addresses, and those in
///    `allow_private`.
///
/// The answer depends on host, port and address alone, never on why a URL is asked, so that a kept connection
/// may be used again by every request of the same upstream. Connections are never shared between upstreams.
class ConnectPolicy {
 public:
  ConnectPolicy(Url configured, std::vector<TrustedRealm> trusted, std::vector<Network> allowed,
                std::string proxy);

  /// Before anything is looked up: false when the host is an address literal that may not be dialled.
  bool may_ask(const Url& url) const;
  /// When the address is known, just before it is dialled. `port` is the one that is dialled.
  bool may_dial(const Url& url, const Address& address, uint16_t port) const;
  /// Whether requests may go through a proxy; which ones do is for libcurl to say (NO_PROXY).
  bool knows_a_proxy() const { return knows_a_proxy_; }

 private:
  void add_proxy(std::string_view text);
  bool is_named_by_operator(const Url& url) const;
  bool is_proxy(const Address& address, uint16_t port) const;

  Url configured_;
  std::vector<TrustedRealm> trusted_;
  std::vector<Network> allowed_;
  std::vector<Url> proxies_;
  bool knows_a_proxy_ = false;
};

}  // namespace entrepot::upstream
