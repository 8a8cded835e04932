#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace entrepot::config {

/// Goes over a TOML text line by line and knows what is quoted or in brackets when a line begins. It knows
/// quotes, brackets and comments and no more of TOML. Copied to go back to an earlier line.
class TomlScan {
 public:
  /// Takes the next line. The position of a character beyond ASCII that stands outside of quotes and
  /// comments; what follows it on the line was not looked at.
  std::optional<size_t> take(std::string_view line);

  /// True when the next line begins something new: it is neither in a text of many lines nor in brackets.
  bool is_between_statements() const { return !is_quoted() && depth_ == 0; }
  bool is_quoted() const { return state_ != State::plain; }

 private:
  // What the text at a position is part of.
  //   plain  → basic, literal, long_basic, long_literal   at " ' """ '''
  //   basic, literal → plain                              at the same quote, or the line's end
  //   long_basic, long_literal → plain                    at the same three quotes, lines later perhaps
  enum class State { plain, basic, literal, long_basic, long_literal };

  size_t take_plain(std::string_view rest);
  size_t take_quoted(std::string_view rest);

  State state_ = State::plain;
  size_t depth_ = 0;  // of open brackets
};

}  // namespace entrepot::config
