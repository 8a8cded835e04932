#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/http/exchange.h"

namespace entrepot::admin {

/// Sends `body`, a JSON text, that no cache keeps and no page frames.
void send_json(http::Exchange& exchange, int status, std::string body);

/// The same shape as errors of the registry: {"errors":[{"code":…,"message":…}]}. REQUIRES: `code` needs no
/// escape.
void send_error(http::Exchange& exchange, int status, std::string_view code, std::string_view message);

/// GET and HEAD only. False when it was something else, and the refusal was sent: 405, or 415 for a body that
/// would have to be unpacked to be read (RFC 9110 section 15.5.16): none of our resources takes one.
bool require_read(http::Exchange& exchange);

/// POST only, without an encoding; as require_read.
bool require_post(http::Exchange& exchange);

/// A head with the fields that every answer of these listeners carries.
http::Head guarded_head(int status, std::string content_type);

}  // namespace entrepot::admin
