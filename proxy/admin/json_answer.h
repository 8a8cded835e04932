#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/http/exchange.h"

namespace entrepot::admin {

/// Sends `body`, a JSON text, that no cache keeps and no page frames.
void send_json(http::Exchange& exchange, int status, std::string body);

/// The same shape as errors of the registry: {"errors":[{"code":…,"message":…}]}. REQUIRES: both need no
/// escape.
void send_error(http::Exchange& exchange, int status, std::string_view code, std::string_view message);

/// GET and HEAD only. False when it was something else and 405 was sent.
bool require_read(http::Exchange& exchange);

/// A head with the fields that every answer of these listeners carries.
http::Head guarded_head(int status, std::string content_type);

}  // namespace entrepot::admin
