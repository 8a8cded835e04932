#include "upstream/aws/profile_files.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/read_file.h"

namespace entrepot::upstream::aws {
namespace {

constexpr size_t kMaxFile = 1024 * 1024;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

// A comment behind a value begins at a '#' or ';' that follows white space.
std::string_view without_comment(std::string_view value) {
  for (size_t i = 1; i < value.size(); ++i)
    if ((value[i] == '#' || value[i] == ';') && is_blank(value[i - 1])) return trimmed(value.substr(0, i));
  return value;
}

// The profile that a section's head names; "" for another kind of section.
std::string profile_in(std::string_view head, bool is_config) {
  std::string_view name = trimmed(head.substr(1, head.find(']') - 1));
  if (!is_config || name == "default") return std::string(name);
  if (!name.starts_with("profile") || name.size() == 7 || !is_blank(name[7])) return {};
  name = trimmed(name.substr(7));
  if (name.size() >= 2 && (name.front() == '"' || name.front() == '\'') && name.back() == name.front())
    name = name.substr(1, name.size() - 2);
  return std::string(name);
}

Result<Profiles> read(const std::string& path, bool is_config) {
  if (::access(path.c_str(), F_OK) != 0) return Profiles();
  Result<std::string> text = read_file(path, kMaxFile);
  if (!text) return fail(text.error());
  Secret kept(std::move(*text));
  return parse_profiles(kept.reveal(), is_config);
}

}  // namespace

Profiles parse_profiles(std::string_view text, bool is_config) {
  Profiles profiles;
  Profile* current = nullptr;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    bool is_nested = !line.empty() && is_blank(line.front());
    line = trimmed(line);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      std::string name = line.find(']') == std::string_view::npos ? "" : profile_in(line, is_config);
      current = name.empty() ? nullptr : &profiles[name];
      continue;
    }
    size_t equals = line.find('=');
    if (current == nullptr || is_nested || equals == std::string_view::npos) continue;
    std::string_view value = without_comment(trimmed(line.substr(equals + 1)));
    (*current)[lower(trimmed(line.substr(0, equals)))] = Secret(std::string(value));
  }
  return profiles;
}

Result<Profiles> read_profiles(const Environment& environment) {
  std::string home = environment("HOME").value_or("");
  std::string config = environment("AWS_CONFIG_FILE").value_or(home + "/.aws/config");
  std::string credentials = environment("AWS_SHARED_CREDENTIALS_FILE").value_or(home + "/.aws/credentials");
  ENTREPOT_TRY_ASSIGN(Profiles profiles, read(config, true));
  ENTREPOT_TRY_ASSIGN(Profiles more, read(credentials, false));
  for (auto& [name, settings] : more)
    for (auto& [key, value] : settings) profiles[name][key] = std::move(value);
  return profiles;
}

}  // namespace entrepot::upstream::aws
