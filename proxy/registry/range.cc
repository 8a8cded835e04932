#include "proxy/registry/range.h"

#include <algorithm>
#include <limits>

namespace entrepot::registry {
namespace {

// Digits as a number; what does not fit is as good as the largest.
std::optional<uint64_t> number(std::string_view digits) {
  if (digits.empty()) return std::nullopt;
  uint64_t value = 0;
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    auto digit = static_cast<uint64_t>(c - '0');
    value = value > (kMax - digit) / 10 ? kMax : value * 10 + digit;
  }
  return value;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

Result<std::optional<ByteRange>> read_range(std::string_view header, uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!header.starts_with(kUnit)) return std::nullopt;
  std::string_view spec = trimmed(header.substr(kUnit.size()));
  size_t dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return std::nullopt;
  std::string_view first_text = spec.substr(0, dash);
  std::string_view last_text = spec.substr(dash + 1);
  std::optional<uint64_t> first = number(first_text);
  std::optional<uint64_t> last = number(last_text);
  Error outside{Errc::range_invalid, "the range lies outside the blob of " + std::to_string(size) + " bytes"};
  if (first_text.empty()) {
    if (!last) return std::nullopt;
    if (*last == 0 || size == 0) return fail(std::move(outside));
    return ByteRange{size - std::min(*last, size), size};
  }
  if (!first || (!last_text.empty() && !last)) return std::nullopt;
  if (last && *last < *first) return std::nullopt;
  if (*first >= size) return fail(std::move(outside));
  uint64_t end = last && *last < size - 1 ? *last + 1 : size;
  return ByteRange{*first, end};
}

}  // namespace entrepot::registry
