#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::upstream {

/// One challenge of a WWW-Authenticate header (RFC 9110 section 11.6.1), as a registry's 401 carries it.
struct Challenge {
  std::string scheme;                             // lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  // names in lower case, values unquoted

  /// The parameter's value; "" when it is absent.
  std::string_view parameter(std::string_view name) const;
};

/// All challenges of all WWW-Authenticate lines of one response, in their order. Takes several challenges in
/// a line, any case, quoted strings with escapes and commas, absent and unknown parameters. What follows the
/// first thing that is no challenge (an unterminated quote, a control byte, a parameter given twice) is
/// dropped, and the challenge it stands in too. Bounded: 16 KiB, 16 challenges, 16 parameters each; what is
/// over is dropped.
std::vector<Challenge> parse_challenges(std::span<const std::string_view> lines);

}  // namespace entrepot::upstream
