#include "upstream/aws/service_url.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "upstream/address_policy.h"

namespace entrepot::upstream::aws {
namespace {

bool is_loopback(const std::string& host) {
  if (host == "localhost" || host == "[::1]") return true;
  std::optional<Address> address = Address::parse(host);
  return address && address->size == 4 && address->bytes[0] == 127;
}

bool is_metadata_address(std::string_view host) {
  constexpr std::array<std::string_view, 3> kHosts = {"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
  return std::ranges::find(kHosts, host) != kHosts.end();
}

}  // namespace

Result<Url> parse_service_url(const std::string& variable, const std::string& text, bool is_metadata) {
  Result<Url> url = Url::parse(text);
  if (!url) return fail(Errc::upstream_refused_credential, variable + ": " + url.error().message);
  bool is_here = is_loopback(url->host()) || (is_metadata && is_metadata_address(url->host()));
  if (!url->is_https() && !is_here)
    return fail(Errc::upstream_refused_credential,
                variable + ": plain http to " + url->host() + ", which is not this machine");
  return url;
}

}  // namespace entrepot::upstream::aws
