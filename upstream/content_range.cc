#include "upstream/content_range.h"

#include <algorithm>
#include <charconv>

namespace entrepot::upstream {
namespace {

constexpr std::string_view kUnit = "bytes ";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The digits at the beginning, at most 18, taken away from `text`.
std::optional<uint64_t> take_number(std::string_view& text) {
  constexpr ptrdiff_t kMaxDigits = 18;
  const char* end = std::find_if_not(text.begin(), text.end(), is_digit);
  if (end == text.begin() || end - text.begin() > kMaxDigits) return std::nullopt;
  uint64_t number = 0;
  std::from_chars(text.data(), end, number);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// Names of range units are case-insensitive (section 14.1).
bool take_unit(std::string_view& text) {
  auto is_same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  if (!std::ranges::equal(text.substr(0, kUnit.size()), kUnit, is_same)) return false;
  text.remove_prefix(kUnit.size());
  return true;
}

}  // namespace

std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!take_unit(text)) return std::nullopt;
  std::optional<uint64_t> first = take_number(text);
  if (!first || !take(text, '-')) return std::nullopt;
  std::optional<uint64_t> last = take_number(text);
  if (!last || !take(text, '/')) return std::nullopt;
  std::optional<uint64_t> total = take_number(text);
  if (!total || !text.empty() || *first > *last || *last >= *total) return std::nullopt;
  return ContentRange{*first, *last, *total};
}

std::optional<uint64_t> total_of(const ResponseHead& head, const ByteSpan& asked) {
  std::optional<std::string_view> value = head.only("content-range");
  std::optional<ContentRange> range = value ? parse_content_range(*value) : std::nullopt;
  if (!range || range->first != asked.from) return std::nullopt;
  uint64_t end = std::min(asked.until.value_or(range->total), range->total);
  if (range->last + 1 != end) return std::nullopt;
  if (head.content_length && *head.content_length != end - asked.from) return std::nullopt;
  return range->total;
}

}  // namespace entrepot::upstream
