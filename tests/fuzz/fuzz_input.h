#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What the fuzz targets have in common: how one input is taken apart. Lines rather than binary numbers where
// it can be, so that the files of a corpus can be read and written by hand.

namespace entrepot::fuzz {

/// One input of libFuzzer, from front to back. At the end it gives zeros and empty texts.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  uint8_t byte() {
    if (rest_.empty()) return 0;
    auto first = static_cast<uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    return first;
  }
  /// What stands before the next `separator`, which goes too; all of it when there is none.
  std::string_view until(char separator) {
    std::string_view part = rest_.substr(0, rest_.find(separator));
    rest_.remove_prefix(std::min(rest_.size(), part.size() + 1));
    return part;
  }
  std::string_view line() { return until('\n'); }
  std::string_view rest() const { return rest_; }
  bool is_at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

/// Bytes in memory of exactly their size, so that the address sanitizer sees a read past their end, which the
/// spare room of a std::string would hide.
class Exact {
 public:
  explicit Exact(std::string_view bytes) : bytes_(bytes.begin(), bytes.end()) {}
  std::string_view view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::vector<char> bytes_;
};

/// Digits as a number, at most `most`; what is no number counts as 0. REQUIRES: most > 9.
inline uint64_t number_in(std::string_view digits, uint64_t most) {
  uint64_t value = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return 0;
    auto digit = static_cast<uint64_t>(c - '0');
    value = value > (most - digit) / 10 ? most : value * 10 + digit;
  }
  return value;
}

inline bool has_control_character(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7f; });
}

inline bool is_lower_case(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace entrepot::fuzz
