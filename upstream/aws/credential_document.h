#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "upstream/aws/credentials.h"

namespace entrepot::upstream::aws {

/// "2026-11-26T19:00:00Z", with or without fractions of a second; nullopt for anything else.
std::optional<WallTime> parse_time(std::string_view text);

/// The JSON in which metadata services and credential processes give credentials: AccessKeyId,
/// SecretAccessKey, Token or SessionToken, Expiration. upstream_failed, with the reason that the document
/// gives for having none, and no other part of it. `source` is for messages.
Result<AwsCredentials> parse_credential_json(std::string_view text, std::string source);

/// The XML of STS' AssumeRole and AssumeRoleWithWebIdentity (2011-06-15); errors alike.
Result<AwsCredentials> parse_sts_answer(std::string_view text, std::string source);
/// Why STS refuses: "AccessDenied: User … is not authorized"; "" when it does not say.
std::string sts_refusal(std::string_view text);

}  // namespace entrepot::upstream::aws
