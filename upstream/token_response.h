#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

namespace entrepot::upstream {

/// What a token service granted.
struct TokenGrant {
  Secret token;
  Duration lifetime{};  // from the receipt of the answer; a tenth less than what it said
};

/// The JSON of a token service (distribution's docs/spec/auth/token.md): `token`, else `access_token`. The
/// lifetime is `expires_in` (60 s when absent, at least 60 s, at most a day), or what a JWT's `exp` leaves of
/// it: from its `iat`, so that a wrong clock does no harm, else from `now`. upstream_failed for anything that
/// holds no token, or one that can't stand in a header; the message holds nothing of the answer.
Result<TokenGrant> parse_token_response(std::string_view body, WallTime now);

}  // namespace entrepot::upstream
