#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/message.h"

namespace entrepot::admin {

/// Keeps web pages of others out. A page whose name was made to resolve to our address (DNS rebinding) still
/// sends its own name as Host, so only names that are ours are answered. Immutable; any thread.
class HostGuard {
 public:
  /// `own`: hosts that are ours besides the loopback's, without port: the configured listen host, further
  /// names. A wildcard address among them ("0.0.0.0", "::") admits every IP address, which no rebinding can
  /// forge.
  explicit HostGuard(std::vector<std::string> own);

  /// `host`: a valid Host field, with or without port.
  bool admits_host(std::string_view host) const;
  /// Also without Host (HTTP/1.0, no browser), unless a browser says that another site's page asks.
  bool admits(const http::Request& request) const;

 private:
  std::vector<std::string> own_;
  bool admits_addresses_ = false;
};

/// "r.test:80" → "r.test", "[::1]:80" → "::1".
std::string_view host_without_port(std::string_view host);

}  // namespace entrepot::admin
