#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace entrepot::registry {

/// The value of `ns` in a query (distribution-spec, "Proxying"), decoded; nullopt without one. bad_request
/// when it is given twice, empty, overlong or badly encoded. Other parameters mean nothing here.
Result<std::optional<std::string>> read_ns(std::string_view query);

/// What a query says of a listing (distribution-spec end-8b, end-12b). What means nothing is left out, so
/// that it is neither asked upstream nor part of a key.
struct PageQuery {
  std::optional<int> n;       // at most so many; what is larger than 1,000 is 1,000
  std::string last;           // begin after this one; opaque
  std::string next_page;      // Quay's way to say the same
  std::string artifact_type;  // of referrers; "" = all

  /// For the upstream: encoded, without what is filtered here.
  std::string text() const;
};
/// bad_request: a parameter twice, badly encoded or overlong, `n` no number.
Result<PageQuery> read_page_query(std::string_view query);

/// For a query's value: everything but unreserved characters (RFC 3986 section 2.3).
std::string percent_encode(std::string_view text);

}  // namespace entrepot::registry
