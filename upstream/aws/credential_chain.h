#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "upstream/aws/credentials.h"
#include "upstream/aws/http_caller.h"
#include "upstream/aws/profile_files.h"
#include "upstream/aws/sts.h"

namespace entrepot::upstream::aws {

/// The AWS credential chain: the first source that is configured is the one, also when it fails, so that a
/// broken one is mended and not passed over (as the SDKs do: aws-sdk-go-v2/config).
///
///  1. the profile that `aws_profile` names
///  2. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
///  3. AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN (IRSA)
///  4. the profile AWS_PROFILE, AWS_DEFAULT_PROFILE or "default", if there is one: source_profile,
///     credential_source, web_identity_token_file, static keys, credential_process; with role_arn AssumeRole.
///     One with settings alone leaves it to 5 and 6
///  5. the container endpoint (ECS, EKS Pod Identity)
///  6. the EC2 instance's metadata
///
/// Temporary credentials are kept until five minutes before they end. BLOCKING; one thread at a time.
class CredentialChain {
 public:
  struct Options {
    std::string profile;  // aws_profile; "" = none
    std::string region;   // of the registry
  };
  CredentialChain(Options options, Environment environment, HttpCaller& caller, const Clock& clock,
                  const std::atomic<bool>& is_stopped);

  /// Errors name the source and what to do.
  Result<AwsCredentials> get();
  /// They were refused: the next `get` asks their source again.
  void forget() { kept_.reset(); }
  bool has_kept() const { return kept_.has_value(); }

 private:
  Result<AwsCredentials> find();
  Result<AwsCredentials> from_machine();
  std::optional<Result<AwsCredentials>> from_environment();
  Result<AwsCredentials> from_profile(const Profiles& profiles, const std::string& name,
                                      std::vector<std::string> path);
  Result<AwsCredentials> base_of(const Profiles& profiles, const std::string& name,
                                 std::vector<std::string> path);
  Result<AwsCredentials> from_credential_source(const std::string& profile, std::string_view source);
  Result<AwsCredentials> from_process(const std::string& profile, const std::string& command);

  const Options options_;
  const Environment environment_;
  HttpCaller& caller_;
  const Clock& clock_;
  const std::atomic<bool>& is_stopped_;
  Sts sts_;
  std::optional<AwsCredentials> kept_;
};

}  // namespace entrepot::upstream::aws
