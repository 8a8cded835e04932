#pragma once

#include <string>
#include <string_view>

namespace entrepot::config {

/// What toml++ says of wrong syntax in words for the person who wrote the file, without what it read there:
/// that may be a password somebody forgot the quotes of. `is_at_line_end`: the text ended where it stopped.
std::string toml_reason(std::string_view description, bool is_at_line_end);

}  // namespace entrepot::config
