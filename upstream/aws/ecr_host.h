#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace entrepot::upstream::aws {

/// What the host name of a private Amazon ECR registry says: in all partitions, FIPS and dual-stack too
/// (the pattern is that of Amazon's own credential helper, ecr-login/api).
struct EcrHost {
  std::string account;  // 12 digits
  std::string region;   // "eu-central-1"
  std::string suffix;   // "amazonaws.com", "amazonaws.com.cn", "on.aws" …
  bool is_fips = false;

  /// nullopt for every other host.
  static std::optional<EcrHost> parse(std::string_view host);
};

/// Whether it is public.ecr.aws, or its dual-stack name.
bool is_ecr_public(std::string_view host);

/// Where an AWS service of a region is reached.
struct Endpoint {
  std::string url;
  std::string region;   // what a signature names
  std::string service;  // what a signature names: "ecr", "ecr-public", "sts"
};

/// The API that gives out tokens for the registry: api.ecr.<region>.<suffix>, and what FIPS and dual-stack
/// make of it.
Endpoint ecr_api(const EcrHost& host);
/// That of public.ecr.aws, in its one region.
Endpoint ecr_public_api();
/// The Security Token Service of a region, in the partition that the region is in.
Endpoint sts_api(std::string_view region);

}  // namespace entrepot::upstream::aws
