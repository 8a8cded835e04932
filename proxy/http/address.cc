#include "proxy/http/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <charconv>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>

namespace entrepot::http {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

tl::unexpected<Error> invalid(std::string_view text, std::string_view why) {
  return fail(Errc::config_invalid, "listen address \"" + std::string(text) + "\": " + std::string(why));
}

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

Result<Address> parse_unix(std::string_view text) {
  std::string_view path = text.substr(kUnixPrefix.size());
  Address address;
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (!path.starts_with('/') || path.find('\0') != std::string_view::npos)
    return invalid(text, "the path of a unix socket must be absolute");
  if (path.size() >= sizeof name.sun_path)
    return invalid(text, "the path is longer than the 107 bytes a unix socket may have");
  path.copy(name.sun_path, path.size());
  std::memcpy(&address.storage, &name, sizeof name);
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

Result<Address> look_up(std::string_view text, const std::string& host, uint16_t port, int family,
                        int flags) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | AI_PASSIVE | flags;
  addrinfo* found = nullptr;
  int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return invalid(text, gai_strerror(error));
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, freeaddrinfo);
  Address address;
  std::memcpy(&address.storage, list->ai_addr, list->ai_addrlen);
  address.length = list->ai_addrlen;
  return address;
}

std::string format_v6(const sockaddr_in6& name) {
  char text[INET6_ADDRSTRLEN] = "";
  if (IN6_IS_ADDR_V4MAPPED(&name.sin6_addr)) {
    inet_ntop(AF_INET, &name.sin6_addr.s6_addr[12], text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(name.sin6_port));
  }
  inet_ntop(AF_INET6, &name.sin6_addr, text, sizeof text);
  return "[" + std::string(text) + "]:" + std::to_string(ntohs(name.sin6_port));
}

}  // namespace

std::string Address::path() const {
  if (!is_unix() || length <= offsetof(sockaddr_un, sun_path)) return {};
  return reinterpret_cast<const sockaddr_un*>(&storage)->sun_path;
}

Result<Address> parse_address(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return parse_unix(text);
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return invalid(text, "a port is missing");
  std::optional<uint16_t> port = parse_port(text.substr(colon + 1));
  if (!port) return invalid(text, "not a valid port");
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) return invalid(text, "a ']' is missing");
    return look_up(text, std::string(host.substr(1, host.size() - 2)), *port, AF_INET6, AI_NUMERICHOST);
  }
  if (host.find(':') != std::string_view::npos) return invalid(text, "an IPv6 address stands in brackets");
  if (host.empty() || host == "*") host = "0.0.0.0";
  if (host == "localhost") host = "127.0.0.1";
  return look_up(text, std::string(host), *port, AF_UNSPEC, 0);
}

std::string format_address(const sockaddr_storage& storage, socklen_t length) {
  switch (storage.ss_family) {
    case AF_INET: {
      const auto& name = reinterpret_cast<const sockaddr_in&>(storage);
      char text[INET_ADDRSTRLEN] = "";
      inet_ntop(AF_INET, &name.sin_addr, text, sizeof text);
      return std::string(text) + ":" + std::to_string(ntohs(name.sin_port));
    }
    case AF_INET6:
      return format_v6(reinterpret_cast<const sockaddr_in6&>(storage));
    case AF_UNIX: {
      if (length <= offsetof(sockaddr_un, sun_path)) return "unix";
      const auto& name = reinterpret_cast<const sockaddr_un&>(storage);
      return name.sun_path[0] == '\0' ? "unix" : "unix:" + std::string(name.sun_path);
    }
    default:
      return "unknown";
  }
}

std::string client_of(std::string_view peer) {
  if (peer.starts_with("unix")) return "unix";
  std::string_view host = peer.substr(0, peer.rfind(':'));
  if (!host.starts_with('[')) return std::string(host);
  in6_addr address{};
  std::string text(host.substr(1, host.find_first_of("%]") - 1));
  if (inet_pton(AF_INET6, text.c_str(), &address) != 1) return text;
  if (IN6_IS_ADDR_V4MAPPED(&address)) return text;
  constexpr size_t kPrefix = 8;
  std::memset(address.s6_addr + kPrefix, 0, sizeof address.s6_addr - kPrefix);
  char prefix[INET6_ADDRSTRLEN] = "";
  inet_ntop(AF_INET6, &address, prefix, sizeof prefix);
  return std::string(prefix) + "/64";
}

}  // namespace entrepot::http
