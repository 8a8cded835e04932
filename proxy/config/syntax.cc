#include "proxy/config/syntax.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace entrepot::config {
namespace {

constexpr std::string_view kNoUserinfo =
    "must not hold a user name or password; use username with password_file or password_env";

tl::unexpected<std::string> wrong(std::string reason) {
  return tl::unexpected<std::string>(std::move(reason));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

bool is_ascii(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool is_ipv4(std::string_view text) {
  in_addr address{};
  return inet_pton(AF_INET, std::string(text).c_str(), &address) == 1;
}
bool is_ipv6(std::string_view text) {
  in6_addr address{};
  return inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

bool is_label(std::string_view label) {
  if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  while (true) {
    size_t dot = host.find('.');
    std::string_view label = host.substr(0, dot);
    if (!is_label(label)) return false;
    if (dot == std::string_view::npos) {
      // Resolvers take "127.1" and "0x7f.1" for addresses (WHATWG URL, "ends in a number").
      return !is_all_digits(label) && !lower(label).starts_with("0x");
    }
    host.remove_prefix(dot + 1);
  }
}

struct HostPort {
  std::string host;
  uint16_t port = 0;
  bool is_bracketed = false;
  std::string text() const {
    std::string out = is_bracketed ? "[" + host + "]" : host;
    return port == 0 ? out : fmt::format("{}:{}", out, port);
  }
};

tl::expected<HostPort, std::string> split_host_port(std::string_view text) {
  HostPort out;
  if (!is_ascii(text)) return wrong("the host must be ASCII; write an internationalised name as xn--…");
  std::string_view rest;
  if (text.starts_with('[')) {
    size_t end = text.find(']');
    if (end == std::string_view::npos || !is_ipv6(text.substr(1, end - 1)))
      return wrong("is not an IPv6 address in brackets");
    out.is_bracketed = true;
    out.host = lower(text.substr(1, end - 1));
    rest = text.substr(end + 1);
  } else {
    size_t colon = text.find(':');
    out.host = lower(text.substr(0, colon));
    rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    if (!is_ipv4(out.host) && !is_host_name(out.host)) return wrong("is not a host name or address");
  }
  if (rest.empty()) return out;
  std::optional<uint16_t> port = rest.front() == ':' ? parse_port(rest.substr(1)) : std::nullopt;
  if (!port || *port == 0) return wrong("the port must be a number from 1 to 65535");
  out.port = *port;
  return out;
}

std::optional<std::string> wrong_prefix(std::string_view prefix) {
  if (prefix.size() > 1024) return "the path prefix is too long";
  if (prefix.ends_with("/v2")) return "leave /v2 off: it is added to every request";
  constexpr std::string_view kForm =
      "the path prefix may hold letters, digits and -._~ between single slashes";
  while (!prefix.empty()) {
    if (prefix.front() != '/') return std::string(kForm);  // a backslash ended the authority
    prefix.remove_prefix(1);
    std::string_view segment = prefix.substr(0, prefix.find('/'));
    bool is_plain = std::all_of(segment.begin(), segment.end(), [](char c) {
      return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
    });
    if (segment.empty() || segment == "." || segment == ".." || !is_plain) return std::string(kForm);
    prefix.remove_prefix(segment.size());
  }
  return std::nullopt;
}

// Of the UTF-8 sequence that begins with this byte; 0 when none does.
size_t sequence_length(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return 2;
  if (first >= 0xe0 && first <= 0xef) return 3;
  return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

}  // namespace

bool is_host(std::string_view host) { return is_ipv4(host) || is_ipv6(host) || is_host_name(host); }

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  in6_addr six{};
  if (inet_pton(AF_INET6, std::string(host).c_str(), &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
  return is_ipv4(host) && host.starts_with("127.");
}

std::optional<uint16_t> parse_port(std::string_view text) {
  if (!is_all_digits(text) || text.size() > 5 || (text.size() > 1 && text.front() == '0'))
    return std::nullopt;
  uint32_t port = 0;
  std::from_chars(text.data(), text.data() + text.size(), port);
  if (port > 65535) return std::nullopt;
  return static_cast<uint16_t>(port);
}

tl::expected<BaseUrl, std::string> parse_base_url(std::string_view text) {
  BaseUrl url;
  size_t colon = text.find("://");
  if (colon == std::string_view::npos) return wrong("must begin with https:// or http://");
  std::string scheme = lower(text.substr(0, colon));
  if (scheme != "https" && scheme != "http") return wrong("must begin with https:// or http://");
  url.is_https = scheme == "https";
  std::string_view rest = text.substr(colon + 3);
  std::string_view authority = rest.substr(0, rest.find_first_of("/?#\\"));
  // Looked for first and anywhere: what stands before an '@' may be a secret, which no other reason may
  // quote.
  if (rest.find('@') != std::string_view::npos) return wrong(std::string(kNoUserinfo));
  if (rest.find('?') != std::string_view::npos) return wrong("must not have a query");
  if (rest.find('#') != std::string_view::npos) return wrong("must not have a fragment");
  tl::expected<HostPort, std::string> host = split_host_port(authority);
  if (!host) return wrong(std::move(host).error());
  url.host = host->host;
  url.port = host->port;
  std::string_view prefix = rest.substr(authority.size());
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  if (std::optional<std::string> reason = wrong_prefix(prefix)) return wrong(std::move(*reason));
  url.prefix = prefix;
  return url;
}

std::string to_text(const BaseUrl& url) {
  HostPort host{url.host, url.port, url.host.find(':') != std::string::npos};
  return (url.is_https ? "https://" : "http://") + host.text() + url.prefix;
}

CheckedText parse_host_port(std::string_view text) {
  if (text.find('@') != std::string_view::npos) return wrong(std::string(kNoUserinfo));
  tl::expected<HostPort, std::string> host = split_host_port(text);
  if (!host) return wrong(fmt::format("\"{}\": {}", text, host.error()));
  return host->text();
}

CheckedText parse_upstream_name(std::string_view text) {
  if (text.find('@') != std::string_view::npos) return wrong(std::string(kNoUserinfo));
  tl::expected<HostPort, std::string> host = split_host_port(text);
  if (!host || host->is_bracketed)
    return wrong(fmt::format("\"{}\" is not a host name, or a host name and a port", text));
  if (host->text() != text) return wrong(fmt::format("\"{}\" must be written as \"{}\"", text, host->text()));
  if (text == "v2" || text == "library")
    return wrong(fmt::format("\"{}\" means something else in an image's path", text));
  return host->text();
}

CheckedText parse_cidr(std::string_view text) {
  size_t slash = text.find('/');
  std::string host(text.substr(0, slash));
  std::array<unsigned char, 16> bytes{};
  bool is_four = inet_pton(AF_INET, host.c_str(), bytes.data()) == 1;
  bool is_six = !is_four && inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
  std::optional<uint16_t> length =
      slash == std::string_view::npos ? std::nullopt : parse_port(text.substr(slash + 1));
  unsigned bits = is_four ? 32 : 128;
  if ((!is_four && !is_six) || !length || *length > bits)
    return wrong(fmt::format("\"{}\" is not a network like 10.0.0.0/8 or fd00::/8", text));
  for (unsigned bit = *length; bit < bits; ++bit)
    if ((bytes.at(bit / 8) >> (7 - bit % 8) & 1) != 0)
      return wrong(fmt::format("\"{}\" has bits set behind its /{}", text, *length));
  return std::string(text);
}

CheckedText parse_proxy(std::string_view text) {
  if (text.empty() || text == "env") return std::string(text);
  static constexpr std::array<std::string_view, 6> kSchemes = {"http",    "https",  "socks4",
                                                               "socks4a", "socks5", "socks5h"};
  size_t colon = text.find("://");
  std::string scheme = lower(text.substr(0, colon));
  if (colon == std::string_view::npos ||
      std::find(kSchemes.begin(), kSchemes.end(), scheme) == kSchemes.end())
    return wrong(
        "must be \"env\" or begin with http://, https://, socks4://, socks4a://, socks5:// or socks5h://");
  std::string_view rest = text.substr(colon + 3);
  if (rest.find('@') != std::string_view::npos)
    return wrong("must not hold a password; use proxy = \"env\" and the variable https_proxy");
  if (rest.ends_with('/')) rest.remove_suffix(1);
  tl::expected<HostPort, std::string> host = split_host_port(rest);
  if (!host) return wrong(std::move(host).error());
  return scheme + "://" + host->text();
}

bool is_variable_name(std::string_view text) {
  if (text.empty() || is_digit(text.front())) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '_'; });
}

size_t valid_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    size_t length = sequence_length(static_cast<unsigned char>(text[at]));
    if (length == 0 || at + length > text.size()) return at;
    for (size_t i = 1; i < length; ++i)
      if ((static_cast<unsigned char>(text[at + i]) & 0xc0) != 0x80) return at;
    at += length;
  }
  return at;
}

bool is_clean_text(std::string_view text) {
  bool has_control = std::any_of(text.begin(), text.end(),
                                 [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return !has_control && valid_utf8(text) == text.size();
}

}  // namespace entrepot::config
