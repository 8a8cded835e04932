#pragma once

#include <string_view>

#include "base/result.h"
#include "upstream/credentials.h"
#include "upstream/transport.h"

namespace entrepot::upstream {

/// What a token service is asked (distribution's docs/spec/auth/token.md and oauth.md): by GET, with our
/// credential as Basic or with none; by POST, when it is an identity token. `scopes` are separated by spaces.
/// policy_refused when the URL comes out too long.
Result<TransportRequest> token_request(const Url& realm, std::string_view service, std::string_view scopes,
                                       const Credential& shown);

}  // namespace entrepot::upstream
