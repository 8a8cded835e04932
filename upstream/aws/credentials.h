#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/secret.h"

namespace entrepot::upstream::aws {

/// What signs a request to AWS.
struct AwsCredentials {
  std::string access_key_id;
  Secret secret_access_key;
  Secret session_token;  // empty for the keys of a user
  std::optional<WallTime> expiration;
  std::string source;  // for messages: "the environment's AWS_ACCESS_KEY_ID"
};

/// The environment, as a function so that tests have their own: nothing for a variable that is not set or
/// empty.
using Environment = std::function<std::optional<std::string>(const char* name)>;

}  // namespace entrepot::upstream::aws
