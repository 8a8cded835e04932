#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace entrepot::config {

/// A line that is no TOML and must not reach the parser.
struct Flaw {
  uint32_t line = 0;  // from 1
  uint32_t column = 0;
  std::string_view reason;
};

/// Finds what toml++ 3.3 takes badly instead of refusing: a character beyond ASCII outside of quotes and
/// comments (it runs into an `unreachable`), and bytes that are not UTF-8 (it names the wrong line). TOML 1.0
/// forbids both. At most one for each line. It knows quotes and comments and no more of TOML.
std::vector<Flaw> find_toml_flaws(std::string_view text);

}  // namespace entrepot::config
