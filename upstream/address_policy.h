#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct sockaddr;

namespace entrepot::upstream {

/// A binary address: 4 or 16 bytes.
struct Address {
  std::array<uint8_t, 16> bytes{};
  size_t size = 0;

  /// nullopt for other families than AF_INET and AF_INET6.
  static std::optional<Address> of(const sockaddr& address);
  /// A strict dotted quad or an IPv6 address, without brackets and zone.
  static std::optional<Address> parse(std::string_view text);
  /// The IPv4 address inside a v4-mapped, v4-compatible, 6to4, NAT64 (64:ff9b::/96) or ISATAP address.
  std::optional<Address> embedded() const;
};

/// A network as `allow_private` names it: "10.0.0.0/8", "fd00::/8", or one address.
struct Network {
  Address address;
  unsigned prefix = 0;

  static Result<Network> parse(std::string_view text);
  bool contains(const Address& other) const;
};

/// True for what belongs to the public internet: no loopback, private, shared (CGNAT), link-local, multicast,
/// documentation or reserved address, no cloud metadata service, and no address that carries such an IPv4
/// address inside.
bool is_public(const Address& address);

/// Public, or inside one of `allowed` (the address itself or the IPv4 address it carries). Decided on the
/// binary address that is about to be dialled, never on text: so no spelling and no DNS answer gets around
/// it.
bool may_dial(const Address& address, const std::vector<Network>& allowed);

}  // namespace entrepot::upstream
