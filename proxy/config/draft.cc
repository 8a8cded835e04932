#include "proxy/config/draft.h"

#include "proxy/config/builtin.h"

namespace entrepot::config {

Draft Draft::with_builtins() {
  Draft draft;
  for (const Builtin& builtin : all_builtins()) {
    Upstream upstream;
    upstream.name = builtin.name;
    upstream.origin.source = "built in";
    upstream.is_builtin = true;
    draft.upstreams.push_back(std::move(upstream));
  }
  return draft;
}

Draft::Upstream* Draft::find(std::string_view name) {
  for (Upstream& upstream : upstreams)
    if (upstream.name == name) return &upstream;
  return nullptr;
}

Draft::Upstream& Draft::add(std::string name, Origin origin) {
  Upstream upstream;
  upstream.name = std::move(name);
  upstream.origin = std::move(origin);
  upstream.is_named = true;
  return upstreams.emplace_back(std::move(upstream));
}

void give(Draft::Settings& settings, const Key& key, const std::string& name, const Checked& value,
          Origin origin, Report& report) {
  Checked checked = value ? check_value(key, *value) : value;
  if (!checked) report.add(origin, name, checked.error());
  settings[&key] = {checked ? *checked : default_of(key), std::move(origin), checked.has_value()};
}

const Draft::Setting* find_setting(const Draft::Settings& settings, std::string_view section,
                                   std::string_view name) {
  auto found = settings.find(&key_of(section, name));
  return found == settings.end() ? nullptr : &found->second;
}

std::string unknown_key(std::string_view section, std::string_view name) {
  if (section == "upstream" && (name == "password" || name == "token" || name == "secret"))
    return "there is no such key: a secret never stands in the configuration; use password_file or "
           "password_env";
  std::vector<std::string> known;
  for (const Key& key : all_keys())
    if (key.section == section) known.emplace_back(key.name);
  std::string near = suggestion(name, known);
  if (!near.empty()) return "unknown key" + near;
  for (const Key& key : all_keys())
    if (key.name == name && key.section != section)
      return "unknown key (did you mean " + full_name(key) + "?)";
  return "unknown key";
}

}  // namespace entrepot::config
