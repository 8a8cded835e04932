#include "proxy/config/listen_address.h"

#include <fmt/format.h>
#include <sys/un.h>

#include "proxy/config/syntax.h"

namespace entrepot::config {
namespace {

constexpr size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;

tl::unexpected<std::string> wrong(std::string_view text, std::string_view reason) {
  return tl::unexpected<std::string>(fmt::format("\"{}\": {}", text, reason));
}

tl::expected<ListenAddress, std::string> parse_unix(std::string_view text) {
  std::string_view path = text.substr(std::string_view("unix:").size());
  if (!path.starts_with('/') || path.ends_with('/'))
    return wrong(text, "a unix socket is written as unix:/absolute/path");
  if (path.size() > kMaxSocketPath)
    return wrong(text, fmt::format("the path of a socket may have at most {} bytes", kMaxSocketPath));
  return ListenAddress{"", 0, std::string(path)};
}

}  // namespace

tl::expected<ListenAddress, std::string> parse_listen_address(std::string_view text) {
  if (text.starts_with("unix:")) return parse_unix(text);
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0)
    return wrong(text,
                 "must be host:port, [v6]:port or unix:/path (all interfaces: 0.0.0.0:port or [::]:port)");
  std::string_view host = text.substr(0, colon);
  bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  bool is_six = host.find(':') != std::string_view::npos;
  if (is_six && !is_bracketed) return wrong(text, "an IPv6 address stands in brackets: [::1]:5000");
  if (!is_host(host) || is_six != is_bracketed) return wrong(text, "has no valid host name or address");
  std::optional<uint16_t> port = parse_port(text.substr(colon + 1));
  if (!port) return wrong(text, "the port must be a number from 0 to 65535");
  return ListenAddress{std::string(host), *port, ""};
}

std::string ListenAddress::text() const {
  if (is_unix()) return "unix:" + path;
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

}  // namespace entrepot::config
