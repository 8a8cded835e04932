#include "proxy/config/toml_scan.h"

#include <algorithm>

namespace entrepot::config {

std::optional<size_t> TomlScan::take(std::string_view line) {
  size_t at = 0;
  std::optional<size_t> foreign;
  while (at < line.size() && !foreign) {
    std::string_view rest = line.substr(at);
    if (state_ == State::plain && rest[0] == '#') break;
    if (state_ == State::plain && static_cast<unsigned char>(rest[0]) >= 0x80)
      foreign = at;
    else
      at += state_ == State::plain ? take_plain(rest) : take_quoted(rest);
  }
  if (state_ == State::basic || state_ == State::literal) state_ = State::plain;
  return foreign;
}

size_t TomlScan::take_plain(std::string_view rest) {
  bool is_long = rest.starts_with("\"\"\"") || rest.starts_with("'''");
  if (rest[0] == '"') state_ = is_long ? State::long_basic : State::basic;
  if (rest[0] == '\'') state_ = is_long ? State::long_literal : State::literal;
  if (rest[0] == '[' || rest[0] == '{') ++depth_;
  if ((rest[0] == ']' || rest[0] == '}') && depth_ > 0) --depth_;
  return is_long ? 3 : 1;
}

size_t TomlScan::take_quoted(std::string_view rest) {
  bool is_basic = state_ == State::basic || state_ == State::long_basic;
  if (is_basic && rest[0] == '\\') return 2;
  if (state_ == State::basic || state_ == State::literal) {
    if (rest[0] == (is_basic ? '"' : '\'')) state_ = State::plain;
    return 1;
  }
  if (!rest.starts_with(is_basic ? "\"\"\"" : "'''")) return 1;
  state_ = State::plain;
  // Up to two more of the same belong to the text before the end.
  return std::min<size_t>(std::min(rest.find_first_not_of(rest[0]), rest.size()), 5);
}

}  // namespace entrepot::config
