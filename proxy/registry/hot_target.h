#pragma once

#include <optional>
#include <string>

#include "proxy/http/message.h"

namespace entrepot::registry {

/// The key under which an answer may be kept for the next request: the target as it was sent, behind the name
/// of the upstream that the Host header selects (`selected`, mostly ""). Only short targets with no query or
/// `ns` alone: what differs in parameters that mean nothing would push out what is used. Ask before the
/// answer is sent; the request is gone after.
inline std::optional<std::string> hot_key(const http::Request& request, const std::string& selected) {
  bool has_plain_query = request.query.empty() || (request.query.starts_with("ns=") &&
                                                   request.query.find('&') == std::string_view::npos);
  if (request.target.size() > 512 || !has_plain_query) return std::nullopt;
  return selected + request.target;
}

}  // namespace entrepot::registry
