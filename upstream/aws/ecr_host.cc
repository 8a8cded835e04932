#include "upstream/aws/ecr_host.h"

#include <algorithm>
#include <array>

namespace entrepot::upstream::aws {
namespace {

// A registry's suffix, and where the API of its partition is. Dual-stack registries have a suffix, and an API
// host, of their own.
struct Partition {
  std::string_view suffix;
  std::string_view api_suffix;
  bool is_dual_stack;
};

constexpr std::array kPartitions = {
    Partition{"amazonaws.com", "amazonaws.com", false},
    Partition{"amazonaws.com.cn", "amazonaws.com.cn", false},
    Partition{"amazonaws.eu", "amazonaws.eu", false},
    Partition{"sc2s.sgov.gov", "sc2s.sgov.gov", false},
    Partition{"c2s.ic.gov", "c2s.ic.gov", false},
    Partition{"cloud.adc-e.uk", "cloud.adc-e.uk", false},
    Partition{"csp.hci.ic.gov", "csp.hci.ic.gov", false},
    Partition{"on.aws", "api.aws", true},
    Partition{"on.amazonwebservices.com.cn", "api.amazonwebservices.com.cn", true},
};

const Partition* find_partition(std::string_view suffix) {
  auto found = std::ranges::find(kPartitions, suffix, &Partition::suffix);
  return found == kPartitions.end() ? nullptr : &*found;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_region(std::string_view text) {
  return !text.empty() && is_alnum(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

constexpr size_t kAccountDigits = 12;

}  // namespace

std::optional<EcrHost> EcrHost::parse(std::string_view host) {
  EcrHost found;
  found.account = host.substr(0, kAccountDigits);
  if (found.account.size() != kAccountDigits || !std::ranges::all_of(found.account, is_digit))
    return std::nullopt;
  host.remove_prefix(kAccountDigits);
  if (!take(host, ".dkr.ecr") && !take(host, ".dkr-ecr")) return std::nullopt;
  found.is_fips = take(host, "-fips");
  if (!take(host, ".")) return std::nullopt;
  size_t dot = host.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  found.region = host.substr(0, dot);
  found.suffix = host.substr(dot + 1);
  if (!is_region(found.region) || find_partition(found.suffix) == nullptr) return std::nullopt;
  return found;
}

bool is_ecr_public(std::string_view host) { return host == "public.ecr.aws" || host == "ecr-public.aws.com"; }

Endpoint ecr_api(const EcrHost& host) {
  const Partition& partition = *find_partition(host.suffix);
  // The rules of the API's endpoints (AWS SDKs): FIPS of the partitions aws and aws-us-gov has no "api.".
  bool is_bare = partition.is_dual_stack || (host.is_fips && partition.suffix == "amazonaws.com");
  std::string name = is_bare ? "ecr" : "api.ecr";
  if (host.is_fips) name += "-fips";
  std::string url = "https://" + name + "." + host.region + "." + std::string(partition.api_suffix);
  return {std::move(url), host.region, "ecr"};
}

Endpoint ecr_public_api() {
  return {"https://api.ecr-public.us-east-1.amazonaws.com", "us-east-1", "ecr-public"};
}

Endpoint sts_api(std::string_view region) {
  // By the names of the partitions' regions (botocore's partitions.json).
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kByRegion = {{
      {"cn-", "amazonaws.com.cn"},
      {"us-isob-", "sc2s.sgov.gov"},
      {"us-isof-", "csp.hci.ic.gov"},
      {"us-iso-", "c2s.ic.gov"},
      {"eu-isoe-", "cloud.adc-e.uk"},
      {"eusc-", "amazonaws.eu"},
      {"", "amazonaws.com"},
  }};
  auto partition =
      std::ranges::find_if(kByRegion, [&](const auto& entry) { return region.starts_with(entry.first); });
  return {"https://sts." + std::string(region) + "." + std::string(partition->second), std::string(region),
          "sts"};
}

}  // namespace entrepot::upstream::aws
