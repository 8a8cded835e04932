#include "upstream/address_policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace entrepot::upstream {
namespace {

Address from_bytes(const void* bytes, size_t size) {
  Address address;
  std::memcpy(address.bytes.data(), bytes, size);
  address.size = size;
  return address;
}

struct Range {
  std::array<uint8_t, 16> bytes;
  unsigned prefix;
};

bool starts_with(const Address& address, const std::array<uint8_t, 16>& bytes, unsigned prefix) {
  unsigned whole = prefix / 8;
  if (!std::equal(bytes.begin(), bytes.begin() + whole, address.bytes.begin())) return false;
  unsigned rest = prefix % 8;
  if (rest == 0) return true;
  auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return (bytes[whole] & mask) == (address.bytes[whole] & mask);
}

// IANA's IPv4 special-purpose registry, and the metadata address that lies outside of it.
constexpr Range kSpecialV4[] = {
    {{0}, 8},                  // this network
    {{10}, 8},                 // private
    {{100, 64}, 10},           // shared (CGNAT); 100.100.100.200 is a metadata service
    {{127}, 8},                // loopback
    {{168, 63, 129, 16}, 32},  // Azure's metadata and platform service
    {{169, 254}, 16},          // link-local; 169.254.169.254 is a metadata service
    {{172, 16}, 12},           // private
    {{192, 0, 0}, 24},         // protocol assignments
    {{192, 0, 2}, 24},         // documentation
    {{192, 88, 99}, 24},       // 6to4 relays
    {{192, 168}, 16},          // private
    {{198, 18}, 15},           // benchmarks
    {{198, 51, 100}, 24},      // documentation
    {{203, 0, 113}, 24},       // documentation
    {{224}, 4},                // multicast
    {{240}, 4},                // reserved, broadcast
};

// Inside 2000::/3, which is all that is public; the others are outside of it.
constexpr Range kSpecialV6[] = {
    {{0x20, 0x01, 0x00}, 23},        // protocol assignments, Teredo
    {{0x20, 0x01, 0x0d, 0xb8}, 32},  // documentation
    {{0x3f, 0xff}, 20},              // documentation
};

bool is_public_v4(const Address& address) {
  return std::ranges::none_of(
      kSpecialV4, [&](const Range& range) { return starts_with(address, range.bytes, range.prefix); });
}

}  // namespace

std::optional<Address> Address::of(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return from_bytes(&v4.sin_addr, 4);
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    return from_bytes(&v6.sin6_addr, 16);
  }
  return std::nullopt;
}

std::optional<Address> Address::parse(std::string_view text) {
  std::string copy(text);
  std::array<uint8_t, 16> bytes{};
  if (inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1) return from_bytes(bytes.data(), 4);
  if (inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1) return from_bytes(bytes.data(), 16);
  return std::nullopt;
}

std::optional<Address> Address::embedded() const {
  if (size != 16) return std::nullopt;
  constexpr std::array<uint8_t, 16> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr std::array<uint8_t, 16> kCompatible{};
  constexpr std::array<uint8_t, 16> kNat64{0x00, 0x64, 0xff, 0x9b};
  constexpr std::array<uint8_t, 16> k6to4{0x20, 0x02};
  if (starts_with(*this, kMapped, 96) || starts_with(*this, kCompatible, 96) ||
      starts_with(*this, kNat64, 96))
    return from_bytes(bytes.data() + 12, 4);
  if (starts_with(*this, k6to4, 16)) return from_bytes(bytes.data() + 2, 4);
  // ISATAP: an interface identifier of 00-00-5e-fe or 02-00-5e-fe and the IPv4 address (RFC 5214
  // section 6.1).
  if ((bytes[8] & 0xfd) == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe)
    return from_bytes(bytes.data() + 12, 4);
  return std::nullopt;
}

Result<Network> Network::parse(std::string_view text) {
  size_t slash = text.find('/');
  std::optional<Address> address = Address::parse(text.substr(0, slash));
  if (!address) return fail(Errc::config_invalid, "'" + std::string(text) + "' is no network");
  Network network{*address, static_cast<unsigned>(address->size * 8)};
  if (slash == std::string_view::npos) return network;
  std::string_view digits = text.substr(slash + 1);
  unsigned prefix = 0;
  auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (digits.empty() || problem != std::errc() || end != digits.data() + digits.size() ||
      prefix > network.prefix)
    return fail(Errc::config_invalid, "'" + std::string(text) + "' is no network");
  network.prefix = prefix;
  return network;
}

bool Network::contains(const Address& other) const {
  return address.size == other.size && starts_with(other, address.bytes, prefix);
}

bool is_public(const Address& address) {
  if (address.size == 4) return is_public_v4(address);
  if (std::optional<Address> inner = address.embedded(); inner && !is_public_v4(*inner)) return false;
  constexpr std::array<uint8_t, 16> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr std::array<uint8_t, 16> kNat64{0x00, 0x64, 0xff, 0x9b};
  if (starts_with(address, kMapped, 96) || starts_with(address, kNat64, 96)) return true;
  constexpr std::array<uint8_t, 16> kGlobal{0x20};
  if (!starts_with(address, kGlobal, 3)) return false;
  return std::ranges::none_of(
      kSpecialV6, [&](const Range& range) { return starts_with(address, range.bytes, range.prefix); });
}

bool may_dial(const Address& address, const std::vector<Network>& allowed) {
  if (is_public(address)) return true;
  std::optional<Address> inner = address.embedded();
  return std::ranges::any_of(allowed, [&](const Network& network) {
    return network.contains(address) || (inner && network.contains(*inner));
  });
}

}  // namespace entrepot::upstream
