#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>
#include <vector>

// The four shapes a key's value can have, in TOML and as text.

namespace entrepot::config {

using TextList = std::vector<std::string>;
using Value = std::variant<bool, int64_t, std::string, TextList>;

/// The value, or what is wrong with it: half a sentence, without the key.
using Checked = tl::expected<Value, std::string>;

/// "a boolean", "an integer", "a string", "a list of strings".
std::string_view shape_of(const Value& value);

/// As TOML: true, 5, "text", ["a", "b"].
std::string to_toml(const Value& value);

}  // namespace entrepot::config
