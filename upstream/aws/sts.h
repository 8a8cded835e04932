#pragma once

#include <string>

#include "base/result.h"
#include "upstream/aws/credentials.h"
#include "upstream/aws/http_caller.h"

namespace entrepot::upstream::aws {

/// The Security Token Service, API version 2011-06-15. BLOCKING. At the region's own endpoint, or
/// AWS_ENDPOINT_URL_STS: never by plain http to another machine.
class Sts {
 public:
  struct Role {
    std::string arn;
    std::string session_name;  // "" = one of ours
    std::string external_id;
    std::string duration_seconds;  // "" = the service's default
  };

  /// `environment` and `caller` outlive this.
  Sts(const Environment& environment, HttpCaller& caller, const std::string& region);

  /// AssumeRole, signed with `by`. upstream_refused_credential with STS' own reason.
  Result<AwsCredentials> assume(const Role& role, const AwsCredentials& by);
  /// AssumeRoleWithWebIdentity, with the token in the file: read each time, since it is rotated.
  Result<AwsCredentials> assume_with_token(const Role& role, const std::string& token_file);

 private:
  Result<AwsCredentials> post(Secret form, std::optional<Signature> signature, const std::string& source);

  const Environment& environment_;
  HttpCaller& caller_;
  const Endpoint endpoint_;
};

}  // namespace entrepot::upstream::aws
