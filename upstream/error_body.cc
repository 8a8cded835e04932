#include "upstream/error_body.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "upstream/json_fields.h"

namespace entrepot::upstream {
namespace {

constexpr double kMostSeconds = 24 * 60 * 60;

// Go's time.Duration.String.
constexpr std::pair<std::string_view, double> kUnits[] = {
    {"ns", 1e-9}, {"\xc2\xb5s", 1e-6}, {"\xce\xbcs", 1e-6}, {"us", 1e-6}, {"ms", 1e-3},
    {"s", 1},     {"m", 60},           {"h", 3600}};

}  // namespace

ErrorBody ErrorBody::parse(std::string_view text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("errors") || !json["errors"].is_array() || json["errors"].empty())
    return {};
  const nlohmann::json& first = json["errors"].front();
  return {text_in(first, "code"), text_in(first, "message")};
}

int ErrorBody::retry_after_seconds() const {
  constexpr std::string_view kBegin = "retry-after: ";
  size_t begin = message.find(kBegin);
  if (begin == std::string::npos) return 0;
  std::string_view rest = std::string_view(message).substr(begin + kBegin.size());
  rest = rest.substr(0, rest.find_first_of(", "));
  if (rest.empty()) return 0;
  double seconds = 0;
  while (!rest.empty()) {
    double count = 0;
    auto [end, problem] =
        std::from_chars(rest.data(), rest.data() + rest.size(), count, std::chars_format::fixed);
    if (problem != std::errc() || !(count >= 0) || !std::isfinite(count)) return 0;
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    auto unit = std::ranges::find_if(kUnits, [rest](const auto& known) {
      size_t digit = std::min(rest.find_first_of("0123456789."), rest.size());
      return rest.substr(0, digit) == known.first;
    });
    if (unit == std::end(kUnits)) return 0;
    rest.remove_prefix(unit->first.size());
    seconds += count * unit->second;
  }
  return static_cast<int>(std::ceil(std::clamp(seconds, 1.0, kMostSeconds)));
}

}  // namespace entrepot::upstream
