#include "base/reference.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr size_t kMaxNameLength = 255;
constexpr size_t kMaxTagLength = 128;

bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_word(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z') || c == '_'; }

// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool is_component(std::string_view text) {
  size_t i = 0;
  while (true) {
    size_t start = i;
    while (i < text.size() && is_lower_alnum(text[i])) ++i;
    if (i == start) return false;
    if (i == text.size()) return true;
    char separator = text[i];
    size_t run = i;
    while (run < text.size() && text[run] == separator) ++run;
    size_t length = run - i;
    bool allowed = separator == '-' || (separator == '.' && length == 1) || (separator == '_' && length <= 2);
    if (!allowed) return false;
    i = run;
  }
}

}  // namespace

bool is_repository_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameLength) return false;
  while (true) {
    size_t slash = name.find('/');
    if (!is_component(name.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

bool is_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > kMaxTagLength || !is_word(tag[0])) return false;
  return std::ranges::all_of(tag, [](char c) { return is_word(c) || c == '.' || c == '-'; });
}

std::optional<Reference> parse_reference(std::string_view text) {
  if (text.find(':') != std::string_view::npos) {
    std::optional<Digest> digest = Digest::parse(text);
    if (!digest) return std::nullopt;
    return Reference(*digest);
  }
  if (!is_tag(text)) return std::nullopt;
  return Reference(std::string(text));
}

std::string to_text(const Reference& reference) {
  if (const Digest* digest = std::get_if<Digest>(&reference)) return digest->text();
  return std::get<std::string>(reference);
}

}  // namespace entrepot
