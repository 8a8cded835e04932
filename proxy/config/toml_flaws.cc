#include "proxy/config/toml_flaws.h"

#include <algorithm>
#include <optional>

#include "proxy/config/syntax.h"

namespace entrepot::config {
namespace {

// What the text at a position is part of.
//   plain  → basic, literal, long_basic, long_literal   at " ' """ '''
//   basic, literal → plain                              at the same quote, or the line's end
//   long_basic, long_literal → plain                    at the same three quotes, lines later perhaps
enum class State { plain, basic, literal, long_basic, long_literal };

// Goes over one line; `state` is carried from line to line. The position of a character that may not be
// there.
std::optional<size_t> scan_line(std::string_view line, State& state) {
  size_t at = 0;
  while (at < line.size()) {
    std::string_view rest = line.substr(at);
    bool is_basic = state == State::basic || state == State::long_basic;
    if (state == State::plain) {
      if (rest[0] == '#') return std::nullopt;
      if (static_cast<unsigned char>(rest[0]) >= 0x80) return at;
      bool is_long = rest.starts_with("\"\"\"") || rest.starts_with("'''");
      if (rest[0] == '"') state = is_long ? State::long_basic : State::basic;
      if (rest[0] == '\'') state = is_long ? State::long_literal : State::literal;
      at += is_long ? 3 : 1;
    } else if (is_basic && rest[0] == '\\') {
      at += 2;
    } else if (state == State::basic || state == State::literal) {
      if (rest[0] == (is_basic ? '"' : '\'')) state = State::plain;
      ++at;
    } else if (rest.starts_with(is_basic ? "\"\"\"" : "'''")) {
      // Up to two more of the same belong to the text before the end.
      size_t end = rest.find_first_not_of(rest[0]);
      at += std::min<size_t>(std::min(end, rest.size()), 5);
      state = State::plain;
    } else {
      ++at;
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<Flaw> find_toml_flaws(std::string_view text) {
  std::vector<Flaw> flaws;
  State state = State::plain;
  uint32_t number = 0;
  while (!text.empty()) {
    ++number;
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    auto add = [&](size_t at, std::string_view reason) {
      flaws.push_back({number, static_cast<uint32_t>(at) + 1, reason});
    };
    State before = state;
    size_t valid = valid_utf8(line);
    std::optional<size_t> foreign = scan_line(line, state);
    if (valid < line.size())
      add(valid, "is not UTF-8");
    else if (foreign)
      add(*foreign, "a character that is not ASCII stands outside of quotes");
    bool is_flawed = !flaws.empty() && flaws.back().line == number;
    if (is_flawed) state = before;  // the line will be taken out
    if (state == State::basic || state == State::literal) state = State::plain;
  }
  return flaws;
}

}  // namespace entrepot::config
