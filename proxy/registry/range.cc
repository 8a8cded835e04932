#include "proxy/registry/range.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

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

bool is_bytes_unit(std::string_view text) {
  constexpr std::string_view kUnit = "bytes";
  return std::ranges::equal(text, kUnit, [](char a, char b) { return (a | 0x20) == b; });
}

// One range-spec. nullopt: malformed. An empty range: outside.
std::optional<ByteRange> read_spec(std::string_view spec, uint64_t size) {
  size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  std::string_view first_text = spec.substr(0, dash);
  std::string_view last_text = spec.substr(dash + 1);
  std::optional<uint64_t> first = number(first_text);
  std::optional<uint64_t> last = number(last_text);
  if (first_text.empty()) {
    if (!last) return std::nullopt;
    return ByteRange{size - std::min(*last, size), size};
  }
  if (!first || (!last_text.empty() && !last)) return std::nullopt;
  if (last && *last < *first) return std::nullopt;
  if (*first >= size) return ByteRange{};
  return ByteRange{*first, last && *last < size - 1 ? *last + 1 : size};
}

}  // namespace

Result<std::vector<ByteRange>> read_ranges(std::string_view header, uint64_t size) {
  size_t equals = header.find('=');
  if (equals == std::string_view::npos || !is_bytes_unit(header.substr(0, equals)))
    return std::vector<ByteRange>();
  std::string_view list = header.substr(equals + 1);
  std::vector<ByteRange> ranges;
  size_t asked = 0;
  uint64_t total = 0;
  while (true) {
    size_t comma = list.find(',');
    std::string_view spec = trimmed(list.substr(0, comma));
    if (!spec.empty()) {  // RFC 9110 section 5.6.1: empty elements of a list mean nothing
      if (++asked > kMaxRanges)
        return fail(Errc::bad_request, "more than " + std::to_string(kMaxRanges) + " ranges");
      std::optional<ByteRange> range = read_spec(spec, size);
      if (!range) return std::vector<ByteRange>();
      if (total <= size) total += range->end - range->begin;  // so that the sum never overflows
      if (range->end > range->begin) ranges.push_back(*range);
    }
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  if (asked == 0) return std::vector<ByteRange>();
  if (ranges.empty())
    return fail(Errc::range_invalid, "the range lies outside the blob of " + std::to_string(size) + " bytes");
  // Section 14.2: ranges that overlap are the mark of an attack or of a broken client.
  if (ranges.size() > 1 && total > size) return std::vector<ByteRange>();
  return ranges;
}

}  // namespace entrepot::registry
