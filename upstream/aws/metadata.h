#pragma once

#include "base/result.h"
#include "upstream/aws/credentials.h"
#include "upstream/aws/http_caller.h"

namespace entrepot::upstream::aws {

/// Whether the environment names a container's credential endpoint.
bool has_container_endpoint(const Environment& environment);

/// The role of an ECS task or an EKS pod (Pod Identity): AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI,
/// with the token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, read each time since it is rotated, or
/// AWS_CONTAINER_AUTHORIZATION_TOKEN. Plain http only to this machine's own addresses. BLOCKING.
Result<AwsCredentials> from_container(const Environment& environment, HttpCaller& caller);

/// The role of an EC2 instance, by IMDSv2; by IMDSv1 where the instance has no v2, unless
/// AWS_EC2_METADATA_V1_DISABLED. Not with AWS_EC2_METADATA_DISABLED. BLOCKING, for about a second where there
/// is no such service.
Result<AwsCredentials> from_instance(const Environment& environment, HttpCaller& caller);

}  // namespace entrepot::upstream::aws
