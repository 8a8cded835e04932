#include "proxy/config/toml_statement.h"

#include <algorithm>

#include "proxy/config/toml_scan.h"

namespace entrepot::config {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kBare = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.";
constexpr size_t kLongestName = 128;

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text;
}

// The bare or dotted key that the text begins with.
std::string_view leading_name(std::string_view text) {
  std::string_view name = text.substr(0, text.find_first_not_of(kBare));
  return name.size() > kLongestName ? std::string_view() : name;
}

// "" for everything but a header.
std::string_view header_name(std::string_view line) {
  line = trimmed(line);
  if (!line.starts_with('[')) return "";
  return leading_name(trimmed(line.substr(line.starts_with("[[") ? 2 : 1)));
}

// Prose has no name, though it begins with a word. Nor has a word alone: it may be a password that went
// astray.
std::string_view assigned_name(std::string_view line) {
  std::string_view name = leading_name(trimmed(line));
  std::string_view after = trimmed(trimmed(line).substr(name.size()));
  bool is_assigned = !after.empty() && std::string_view("=:\"'").find(after[0]) != std::string_view::npos;
  return is_assigned ? name : std::string_view();
}

bool looks_like_beginning(std::string_view line) {
  if (!header_name(line).empty()) return true;
  std::string_view name = leading_name(trimmed(line));
  return !name.empty() && trimmed(trimmed(line).substr(name.size())).starts_with('=');
}

Statement find(std::string_view text, uint32_t line, bool may_be_broken) {
  Statement found;
  TomlScan scan;
  std::string_view section;
  for (uint32_t number = 1; number <= line && !text.empty(); ++number) {
    std::string_view content = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(content.size() + 1, text.size()));
    std::string_view inner = trimmed(content);
    if (may_be_broken && !scan.is_quoted() && looks_like_beginning(content)) scan = TomlScan();
    if (scan.is_between_statements() && !inner.empty() && inner[0] != '#') {
      bool is_header = inner[0] == '[';
      if (is_header) section = header_name(content);
      std::string_view name = assigned_name(content);
      std::string key(section);
      if (!is_header && !name.empty()) key += (key.empty() ? "" : ".") + std::string(name);
      found = {number, static_cast<uint32_t>(inner.data() - content.data()) + 1, is_header, std::move(key)};
    }
    scan.take(content);
  }
  return found;
}

}  // namespace

Statement statement_at(std::string_view text, uint32_t line) { return find(text, line, false); }
Statement likely_statement_at(std::string_view text, uint32_t line) { return find(text, line, true); }

bool take_out(std::string& text, const Statement& statement) {
  bool was_there = false;
  size_t at = 0;
  for (uint32_t number = 1; at < text.size(); ++number) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = std::string_view(text).substr(at, end - at);
    bool is_end = statement.is_header ? !header_name(line).empty() : looks_like_beginning(line);
    if (number > statement.line && is_end) break;
    if (number >= statement.line) {
      was_there |= !trimmed(line).empty();
      std::fill(text.begin() + static_cast<std::ptrdiff_t>(at),
                text.begin() + static_cast<std::ptrdiff_t>(end), ' ');
    }
    at = end + 1;
  }
  return was_there && statement.line != 0;
}

}  // namespace entrepot::config
