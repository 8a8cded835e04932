#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace entrepot::http {

/// Where to listen. A value.
struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  int family() const { return storage.ss_family; }
  bool is_unix() const { return family() == AF_UNIX; }
  /// The path of a unix socket.
  std::string path() const;
};

/// Parses "127.0.0.1:5000", "localhost:5000", "name:5000" (looked up, which may take long: at the start
/// only), "[::1]:5000",
/// ":5000" and "*:5000" (every IPv4 address), "unix:/absolute/path". Port 0 = any free one. Errors are
/// config_invalid.
Result<Address> parse_address(std::string_view text);

/// "127.0.0.1:40312", "[::1]:40312", "unix:/path", "unix" for a unix socket without a name.
std::string format_address(const sockaddr_storage& storage, socklen_t length);

/// Whom the peer of a connection (as `format_address` writes it) counts as, where clients are limited: an
/// IPv4 address; the /64 of an IPv6 address, since that is what one host has at least; "unix".
std::string client_of(std::string_view peer);

}  // namespace entrepot::http
