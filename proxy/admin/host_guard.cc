#include "proxy/admin/host_guard.h"

#include <arpa/inet.h>
#include <strings.h>

#include <algorithm>

namespace entrepot::admin {
namespace {

bool equals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool is_wildcard(std::string_view host) {
  return host == "0.0.0.0" || host == "::" || host.empty() || host == "*";
}

bool is_v4(const std::string& host) {
  in_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1;
}

bool is_v6(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

bool is_loopback(const std::string& host) {
  return equals(host, "localhost") || host == "::1" || (host.starts_with("127.") && is_v4(host));
}

}  // namespace

std::string_view host_without_port(std::string_view host) {
  if (!host.starts_with('[')) return host.substr(0, host.find(':'));
  size_t close = host.find(']');
  return close == std::string_view::npos ? std::string_view() : host.substr(1, close - 1);
}

HostGuard::HostGuard(std::vector<std::string> own) : own_(std::move(own)) {
  admits_addresses_ = std::ranges::any_of(own_, is_wildcard);
}

bool HostGuard::admits_host(std::string_view host) const {
  std::string name(host_without_port(host));
  if (name.empty()) return false;
  if (is_loopback(name)) return true;
  if (admits_addresses_ && (is_v4(name) || is_v6(name))) return true;
  return std::ranges::any_of(own_, [&](const std::string& own) { return equals(own, name); });
}

bool HostGuard::admits(const http::Request& request) const {
  const std::string* site = request.header("Sec-Fetch-Site");
  if (site != nullptr && (*site == "cross-site" || *site == "same-site")) return false;
  const std::string* host = request.header("Host");
  return host == nullptr || admits_host(*host);
}

}  // namespace entrepot::admin
