#include <set>

#include "proxy/config/document.h"
#include "proxy/config/draft.h"
#include "proxy/config/overrides.h"

namespace entrepot::config {
namespace {

// A KEY of --set: "cache.max_size", "upstream.quay.io.username".
struct Address {
  std::string section;
  std::string upstream;
  std::string name;
};

Address split_key(std::string_view key) {
  size_t dot = key.rfind('.');
  if (dot == std::string_view::npos) return {"", "", std::string(key)};
  std::string_view section = key.substr(0, dot);
  std::string_view name = key.substr(dot + 1);
  constexpr std::string_view kUpstream = "upstream.";
  if (!section.starts_with(kUpstream)) return {std::string(section), "", std::string(name)};
  return {"upstream", std::string(section.substr(kUpstream.size())), std::string(name)};
}

std::string unknown_set_key(const Address& address) {
  if (is_section(address.section)) return unknown_key(address.section, address.name);
  std::vector<std::string> known;
  for (const Key& key : all_keys()) known.push_back(full_name(key));
  std::string whole = address.section.empty() ? address.name : address.section + "." + address.name;
  return "unknown key" + suggestion(whole, known);
}

// The upstream that --set means, new if need be; nullptr when the name can be none (reported).
Draft::Upstream* upstream_of(Draft& draft, const std::string& name, const Origin& origin,
                             const std::string& key, Report& report) {
  if (Draft::Upstream* known = draft.find(name)) {
    known->is_named = true;
    return known;
  }
  Checked checked = check_value(key_of("upstream", "name"), name);
  if (checked) return &draft.add(name, origin);
  report.add(origin, key,
             name.empty() ? "needs the upstream's name: upstream.<name>.<key>" : checked.error());
  return nullptr;
}

void apply_set(Draft& draft, const std::string& key, std::string_view text, Report& report) {
  Origin origin{"--set " + key, 0, 0};
  Address address = split_key(key);
  const Key* known = find_key(address.section, address.name);
  if (known == nullptr) return report.add(origin, key, unknown_set_key(address));
  Draft::Settings* settings = &draft.settings;
  if (known->is_of_upstream()) {
    Draft::Upstream* upstream = upstream_of(draft, address.upstream, origin, key, report);
    if (upstream == nullptr) return;
    if (address.name == "name") return check_name_override(*upstream, text, origin, key, report);
    settings = &upstream->settings;
  }
  give(*settings, *known, key, override_value(*known, text), origin, report);
}

}  // namespace

Checked override_value(const Key& key, std::string_view text) {
  bool is_toml_list = text.starts_with("[\"") || text == "[]";
  return is_toml_list ? parse_list(text) : value_from_text(key, text);
}

void check_name_override(const Draft::Upstream& upstream, std::string_view text, const Origin& origin,
                         const std::string& key, Report& report) {
  if (text != upstream.name)
    report.add(origin, key, "must be \"" + upstream.name + "\": an upstream cannot be renamed");
}

void apply_sets(Draft& draft, const std::vector<std::string>& sets, Report& report) {
  std::set<std::string, std::less<>> seen;
  for (const std::string& set : sets) {
    size_t equals = set.find('=');
    if (equals == std::string::npos || equals == 0) {
      // What follows --set is not quoted beyond its key: it may be a password that went astray.
      report.add({"--set", 0, 0}, "", "must be KEY=VALUE, like cache.max_size=5GiB");
      continue;
    }
    std::string key = set.substr(0, equals);
    if (!seen.insert(key).second)
      report.add({"--set " + key, 0, 0}, key, "is given twice");
    else
      apply_set(draft, key, std::string_view(set).substr(equals + 1), report);
  }
}

}  // namespace entrepot::config
