#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "upstream/aws/credentials.h"
#include "upstream/aws/ecr_host.h"
#include "upstream/aws/http_caller.h"

namespace entrepot::upstream::aws {

/// What a registry of Amazon ECR wants to see.
struct AuthorizationToken {
  Secret authorization;  // "Basic …" of a private registry, "Bearer …" of ECR Public
  Duration lifetime{};   // by the service's own clock; normally 12 hours
};

/// GetAuthorizationToken of `api` (ecr or ecr-public), signed with `credentials`. BLOCKING. Errors:
/// upstream_refused_credential with the service's own reason and what to do, upstream_rate_limited,
/// upstream_failed, and those of the call.
Result<AuthorizationToken> get_authorization_token(HttpCaller& caller, const Endpoint& api,
                                                   const AwsCredentials& credentials, const Clock& clock);

}  // namespace entrepot::upstream::aws
