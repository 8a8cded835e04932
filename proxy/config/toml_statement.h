#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot::config {

/// What a parser stumbled over: a header with its table, an assignment with all its lines, or neither.
struct Statement {
  uint32_t line = 0;  // where it begins, from 1; 0 = nothing is there
  uint32_t column = 0;
  bool is_header = false;
  std::string key;  // "cache", "cache.max_size"; the table's, where no key can be made out
};

/// The statement that `line` belongs to. REQUIRES: what stands before it is TOML.
Statement statement_at(std::string_view text, uint32_t line);

/// The same of a text that may be broken before it too: an assignment that begins within brackets ends them.
Statement likely_statement_at(std::string_view text, uint32_t line);

/// Blanks the statement out, so that the rest can be read: with a header all up to the next one, else all up
/// to the next line that looks like the beginning of something. False when it was blank already.
bool take_out(std::string& text, const Statement& statement);

}  // namespace entrepot::config
