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
/// comments (it runs into an `unreachable`), bytes that are not UTF-8 (it names the wrong line), and NUL,
/// which it calls by its number. TOML 1.0 forbids all of them. And names of very many parts, for which its
/// stack would not do. At most one for each line.
std::vector<Flaw> find_toml_flaws(std::string_view text);

}  // namespace entrepot::config
