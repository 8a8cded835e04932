#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace entrepot::upstream {

/// RFC 4648 section 4, with padding: for Basic credentials.
std::string encode_base64(std::string_view bytes);
/// RFC 4648 section 5 without padding, as JWTs are written; nullopt for anything else.
std::optional<std::string> decode_base64url(std::string_view text);

}  // namespace entrepot::upstream
