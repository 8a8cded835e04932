#include "base/units.h"

#include <array>
#include <charconv>
#include <limits>

namespace entrepot {
namespace {

struct SizeUnit {
  std::string_view name;
  uint64_t bytes;
};
constexpr uint64_t kKi = 1024;
constexpr std::array kSizeUnits = {
    SizeUnit{"", 1},
    SizeUnit{"B", 1},
    SizeUnit{"kB", 1000},
    SizeUnit{"KB", 1000},
    SizeUnit{"MB", 1000'000},
    SizeUnit{"GB", 1000'000'000},
    SizeUnit{"TB", 1000'000'000'000},
    SizeUnit{"KiB", kKi},
    SizeUnit{"MiB", kKi* kKi},
    SizeUnit{"GiB", kKi* kKi* kKi},
    SizeUnit{"TiB", kKi* kKi* kKi* kKi},
};

struct DurationUnit {
  std::string_view name;
  int64_t milliseconds;
};
constexpr std::array kDurationUnits = {
    DurationUnit{"d", 86'400'000}, DurationUnit{"h", 3'600'000}, DurationUnit{"m", 60'000},
    DurationUnit{"s", 1000},       DurationUnit{"ms", 1},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Up to 18 digits, so that no sum below can overflow unnoticed.
std::optional<uint64_t> take_number(std::string_view& text) {
  size_t length = 0;
  while (length < text.size() && is_digit(text[length])) ++length;
  if (length == 0 || length > 18) return std::nullopt;
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + length, value);
  text.remove_prefix(length);
  return value;
}

}  // namespace

std::optional<uint64_t> parse_size(std::string_view text) {
  std::optional<uint64_t> whole = take_number(text);
  if (!whole) return std::nullopt;
  uint64_t fraction = 0;
  uint64_t scale = 1;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    size_t before = text.size();
    std::optional<uint64_t> digits = take_number(text);
    if (!digits || before - text.size() > 3) return std::nullopt;
    fraction = *digits;
    for (size_t i = text.size(); i < before; ++i) scale *= 10;
  }
  while (text.starts_with(' ')) text.remove_prefix(1);
  for (const SizeUnit& unit : kSizeUnits) {
    if (text != unit.name) continue;
    if (unit.bytes == 1 && scale != 1) return std::nullopt;
    if (*whole > std::numeric_limits<int64_t>::max() / unit.bytes) return std::nullopt;
    return *whole * unit.bytes + fraction * unit.bytes / scale;
  }
  return std::nullopt;
}

std::string format_size(uint64_t bytes) {
  for (auto unit = kSizeUnits.rbegin(); unit->name.ends_with("iB"); ++unit)
    if (bytes >= unit->bytes && bytes % unit->bytes == 0)
      return std::to_string(bytes / unit->bytes) + std::string(unit->name);
  return std::to_string(bytes);
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  if (text == "0") return std::chrono::milliseconds(0);
  if (text.empty()) return std::nullopt;
  int64_t total = 0;
  while (!text.empty()) {
    std::optional<uint64_t> number = take_number(text);
    if (!number || *number > 1'000'000'000) return std::nullopt;
    size_t length = 0;
    while (length < text.size() && !is_digit(text[length])) ++length;
    std::string_view name = text.substr(0, length);
    const DurationUnit* found = nullptr;
    for (const DurationUnit& unit : kDurationUnits)
      if (unit.name == name) found = &unit;
    if (found == nullptr) return std::nullopt;
    total += static_cast<int64_t>(*number) * found->milliseconds;
    text.remove_prefix(length);
  }
  return std::chrono::milliseconds(total);
}

std::string format_duration(std::chrono::milliseconds duration) {
  int64_t left = duration.count();
  if (left == 0) return "0s";
  std::string text;
  for (const DurationUnit& unit : kDurationUnits) {
    if (left < unit.milliseconds) continue;
    text += std::to_string(left / unit.milliseconds) + std::string(unit.name);
    left %= unit.milliseconds;
  }
  return text;
}

}  // namespace entrepot
