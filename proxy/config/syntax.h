#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

// What single values may look like. Each function gives the one spelling that the rest of entrepot sees, or
// half a sentence that says what is wrong. Nothing here looks at the network or at a file.

namespace entrepot::config {

using CheckedText = tl::expected<std::string, std::string>;

struct BaseUrl {
  bool is_https = true;
  std::string host;    // lower case; IPv6 without brackets
  uint16_t port = 0;   // 0 = the scheme's
  std::string prefix;  // "" or "/a/b"
};

/// http(s)://host[:port][/prefix], without userinfo, query, fragment, percent signs, dot segments, or a
/// trailing `/v2` (which every request adds). Values with userinfo are not quoted in the reason.
tl::expected<BaseUrl, std::string> parse_base_url(std::string_view text);
std::string to_text(const BaseUrl& url);

/// A host name by RFC 1123 (no underscore, lower case after this), an IPv4 address, or an IPv6 address
/// without brackets.
bool is_host(std::string_view host);
bool is_loopback(std::string_view host);

/// "5000" → 5000; nullopt for anything else than 0..65535 in at most five digits.
std::optional<uint16_t> parse_port(std::string_view text);

/// host[:port], [v6][:port].
CheckedText parse_host_port(std::string_view text);

/// An upstream's name or alias: a lower-case host[:port], neither `v2` nor `library`, which mean something
/// else in a path.
CheckedText parse_upstream_name(std::string_view text);

/// "10.0.0.0/8", "fd00::/8".
CheckedText parse_cidr(std::string_view text);

/// "", "env", or scheme://host[:port] with http, https, socks4, socks4a, socks5 or socks5h.
CheckedText parse_proxy(std::string_view text);

/// [A-Za-z_][A-Za-z0-9_]*
bool is_variable_name(std::string_view text);

/// How many bytes of it are UTF-8 before the first that is not; over-long and surrogate forms are left to
/// toml++.
size_t valid_utf8(std::string_view text);

/// False when a control character or broken UTF-8 is in it.
bool is_clean_text(std::string_view text);

}  // namespace entrepot::config
