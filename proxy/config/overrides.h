#pragma once

#include <string>
#include <string_view>

#include "proxy/config/draft.h"

// What --set and the environment have in common.

namespace entrepot::config {

/// The text in the shape that the key wants; lists as a,b or as ["a", "b"].
Checked override_value(const Key& key, std::string_view text);

/// `name` can be given there too, but only confirm what the upstream is called.
void check_name_override(const Draft::Upstream& upstream, std::string_view text, const Origin& origin,
                         const std::string& key, Report& report);

}  // namespace entrepot::config
