#include "proxy/http/request_rules.h"

#include <strings.h>

#include <array>
#include <charconv>
#include <cstdint>

namespace entrepot::http {
namespace {

constexpr size_t kMaxHostBytes = 255;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (char c :
       std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kTokenChars = make_token_table();

bool equals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// Optional whitespace is SP and HTAB, nothing else (RFC 9110 section 5.6.3).
std::string_view trim(std::string_view text) {
  size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_valid_port(std::string_view port) {
  if (port.empty()) return true;
  unsigned value = 0;
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  return is_digit(port.front()) && error == std::errc() && end == port.data() + port.size() && value <= 65535;
}

bool is_valid_v6(std::string_view address) {
  bool has_colon = false;
  for (char c : address) {
    bool is_hex = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (!is_hex && c != ':' && c != '.') return false;
    has_colon |= c == ':';
  }
  return has_colon;
}

// Fields of which a second one, or a hop that drops them, would change what the request means.
constexpr std::string_view kSingleFields[] = {"host",  "content-length", "transfer-encoding",
                                              "range", "if-range",       "authorization"};
constexpr std::string_view kEndToEndFields[] = {"host",
                                                "content-length",
                                                "transfer-encoding",
                                                "range",
                                                "if-range",
                                                "authorization",
                                                "if-none-match",
                                                "accept",
                                                "cookie",
                                                "content-type",
                                                "cache-control",
                                                "if-modified-since",
                                                "content-encoding",
                                                "date"};

struct Framing {
  const std::string* single[std::size(kSingleFields)] = {};
  bool says_close = false;
  bool says_keep_alive = false;

  const std::string* host() const { return single[0]; }
  const std::string* content_length() const { return single[1]; }
  const std::string* transfer_encoding() const { return single[2]; }
};

std::optional<Refusal> read_connection(std::string_view value, Framing& framing) {
  while (true) {
    size_t comma = value.find(',');
    std::string_view option = trim(value.substr(0, comma));
    framing.says_close |= equals(option, "close");
    framing.says_keep_alive |= equals(option, "keep-alive");
    for (std::string_view field : kEndToEndFields)
      if (equals(option, field)) return Refusal{400, "Connection names an end-to-end field"};
    if (comma == std::string_view::npos) return std::nullopt;
    value.remove_prefix(comma + 1);
  }
}

std::optional<Refusal> collect(const Request& request, Framing& framing) {
  for (const auto& [name, value] : request.headers) {
    for (size_t i = 0; i < std::size(kSingleFields); ++i) {
      if (!equals(name, kSingleFields[i])) continue;
      if (framing.single[i] != nullptr) return Refusal{400, "a header field that may come once came twice"};
      framing.single[i] = &value;
    }
    if (!equals(name, "connection")) continue;
    if (auto refusal = read_connection(value, framing)) return refusal;
  }
  return std::nullopt;
}

std::optional<Refusal> read_body_framing(Request& request, const Framing& framing) {
  const std::string* length = framing.content_length();
  const std::string* encoding = framing.transfer_encoding();
  if (length != nullptr && encoding != nullptr)
    return Refusal{400, "both Content-Length and Transfer-Encoding"};
  if (encoding != nullptr) {
    if (request.minor_version == 0) return Refusal{400, "Transfer-Encoding with HTTP/1.0"};
    if (!equals(*encoding, "chunked")) return Refusal{400, "a Transfer-Encoding other than chunked"};
    request.has_body = true;
  }
  if (length != nullptr) {
    int64_t value = 0;
    const char* end = length->data() + length->size();
    auto [stop, error] = std::from_chars(length->data(), end, value);
    if (length->empty() || !is_digit(length->front()) || error != std::errc() || stop != end)
      return Refusal{400, "not a valid Content-Length"};
    request.has_body = value > 0;
    request.content_length = static_cast<uint64_t>(value);
  }
  if (request.has_body && (request.method == Method::get || request.method == Method::head))
    return Refusal{400, "a GET or HEAD with a body"};
  return std::nullopt;
}

}  // namespace

bool is_token_char(char c) { return kTokenChars[static_cast<unsigned char>(c)]; }

bool is_valid_host(std::string_view host) {
  if (host.empty() || host.size() > kMaxHostBytes) return false;
  if (host.front() == '[') {
    size_t close = host.find(']');
    if (close == std::string_view::npos || !is_valid_v6(host.substr(1, close - 1))) return false;
    std::string_view rest = host.substr(close + 1);
    return rest.empty() || (rest.front() == ':' && is_valid_port(rest.substr(1)));
  }
  size_t colon = host.find(':');
  std::string_view name = host.substr(0, colon);
  for (char c : name)
    if (!is_letter(c) && !is_digit(c) && c != '-' && c != '.' && c != '_' && c != '~') return false;
  return !name.empty() && (colon == std::string_view::npos || is_valid_port(host.substr(colon + 1)));
}

std::optional<Refusal> apply_request_rules(Request& request) {
  Framing framing;
  request.has_body = false;
  request.content_length = 0;
  request.body = {};
  if (auto refusal = collect(request, framing)) return refusal;
  if (framing.host() == nullptr) {
    if (request.minor_version != 0) return Refusal{400, "a request without Host"};
  } else if (!is_valid_host(*framing.host())) {
    return Refusal{400, "not a valid Host"};
  }
  request.wants_keep_alive = !framing.says_close && (request.minor_version == 1 || framing.says_keep_alive);
  return read_body_framing(request, framing);
}

}  // namespace entrepot::http
