#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace entrepot::registry {

/// The value of `ns` in a query (distribution-spec, "Proxying"), decoded; nullopt without one. bad_request
/// when it is given twice, empty, overlong or badly encoded. Other parameters mean nothing here.
Result<std::optional<std::string>> read_ns(std::string_view query);

}  // namespace entrepot::registry
