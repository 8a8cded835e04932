#include "proxy/config/toml_reason.h"

#include <algorithm>
#include <array>

namespace entrepot::config {
namespace {

struct Wording {
  std::string_view part;  // of what it was parsing, or of what it says
  std::string_view ours;
};

// The first that matches counts.
constexpr std::array kWordings = {
    Wording{"cannot redefine", "is given twice"},
    Wording{"maximum nested value depth", "is nested too deeply"},
    Wording{"not representable in 64 bits", "the number is too large"},
    Wording{
        "escape sequence",
        "not an escape sequence; within \"double quotes\" write a backslash twice, or use 'single quotes'"},
    Wording{"parsing array: e", "a comma or the closing ] of the list is missing"},
    Wording{"parsing key-value pair: expected '='", "must be written as KEY = VALUE"},
    Wording{"parsing key-value pair: expected value", "has no value"},
    Wording{"parsing inline table",
            "an inline table { … } must be closed in its line, without a comma at its end"},
    Wording{"parsing table header: expected ']'", "the closing ] of a table's name is missing"},
    Wording{"parsing root table", "is neither KEY = VALUE nor a [table]"},
};

// What toml++ takes a value without quotes for.
constexpr std::array kValues = {
    "parsing value:", "parsing boolean", "integer:", "floating-point:", "parsing date", "parsing time"};

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

std::string toml_reason(std::string_view description, bool is_at_line_end) {
  for (const Wording& wording : kWordings)
    if (holds(description, wording.part)) return std::string(wording.ours);
  if (holds(description, "string:"))
    return is_at_line_end ? "the closing quote is missing" : "holds a control character";
  bool is_value =
      std::any_of(kValues.begin(), kValues.end(), [&](auto part) { return holds(description, part); });
  if (is_value && is_at_line_end) return "has no value";
  if (is_value) return "is not a value: text stands in quotes, a boolean is true or false";
  constexpr std::string_view kPrefix = "Error while ";
  if (description.starts_with(kPrefix)) description.remove_prefix(kPrefix.size());
  return "is not TOML: " + std::string(description.substr(0, description.find(", saw")));
}

}  // namespace entrepot::config
