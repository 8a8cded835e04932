#include "proxy/config/toml_flaws.h"

#include <algorithm>
#include <optional>

#include "proxy/config/syntax.h"
#include "proxy/config/toml_scan.h"

namespace entrepot::config {
namespace {

// Each part of a name is a table in a table, and toml++ goes through them by calling itself.
constexpr ptrdiff_t kMaxDots = 64;

// Of a header, or of what stands before the first '='.
bool is_name_too_deep(std::string_view line) {
  std::string_view begin = line.substr(std::min(line.find_first_not_of(" \t"), line.size()));
  std::string_view name = begin.starts_with('[') ? begin : begin.substr(0, begin.find('='));
  return std::ranges::count(name, '.') > kMaxDots;
}

}  // namespace

std::vector<Flaw> find_toml_flaws(std::string_view text) {
  std::vector<Flaw> flaws;
  TomlScan scan;
  uint32_t number = 0;
  while (!text.empty()) {
    ++number;
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    auto add = [&](size_t at, std::string_view reason) {
      flaws.push_back({number, static_cast<uint32_t>(at) + 1, reason});
    };
    TomlScan before = scan;
    bool is_too_deep = scan.is_between_statements() && is_name_too_deep(line);
    size_t valid = valid_utf8(line);
    size_t nul = line.find('\0');
    std::optional<size_t> foreign = scan.take(line);
    if (valid < line.size())
      add(valid, "is not UTF-8");
    else if (nul != std::string_view::npos)
      add(nul, "holds a NUL byte");
    else if (foreign)
      add(*foreign, "a character that is not ASCII stands outside of quotes");
    else if (is_too_deep)
      add(0, "is nested too deeply");
    bool is_flawed = !flaws.empty() && flaws.back().line == number;
    if (is_flawed) scan = before;  // the line will be taken out
  }
  return flaws;
}

}  // namespace entrepot::config
