#pragma once

#include <optional>
#include <string_view>

#include "proxy/http/limits.h"
#include "proxy/http/message.h"

// What a request's fields must say, beyond being well-formed. Pure functions.

namespace entrepot::http {

/// tchar of RFC 9110 section 5.6.2.
bool is_token_char(char c);

/// "host", "host:port", "[v6]", "[v6]:port" with a port up to 65535. Narrower than RFC 3986: a name holds
/// letters, digits and "-._~" alone.
bool is_valid_host(std::string_view host);

/// Reads the fields that govern the connection and the framing (Host, Connection, Content-Length,
/// Transfer-Encoding) and sets `wants_keep_alive` and `has_body`. Whatever two readers could understand
/// differently is refused (RFC 9112 sections 3.2, 6.3, 9.3).
std::optional<Refusal> apply_request_rules(Request& request);

}  // namespace entrepot::http
