#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/config/key.h"
#include "proxy/config/report.h"

namespace entrepot::config {

/// What was given so far, each value with its place. The three sources write into it in the order of
/// precedence, so a later one replaces an earlier one; finish() makes a Config of it. Lives inside load().
struct Draft {
  struct Setting {
    Value value;
    Origin origin;
    bool is_sound = true;  // false: it was reported; what it says elsewhere must not be reported again
  };
  using Settings = std::map<const Key*, Setting>;

  struct Upstream {
    std::string name;
    Origin origin;  // its table, or what else named it first
    bool is_builtin = false;
    bool is_named = false;  // by anything else than being built in
    Settings settings;
  };

  Settings settings;
  std::vector<Upstream> upstreams;  // the built-in ones first

  /// With the built-in upstreams in it.
  static Draft with_builtins();
  /// nullptr when there is none; good until the next one is added.
  Upstream* find(std::string_view name);
  Upstream& add(std::string name, Origin origin);
};

/// Checks `value` and sets it, sound or not. `name` is the key as errors call it.
void give(Draft::Settings& settings, const Key& key, const std::string& name, const Checked& value,
          Origin origin, Report& report);

/// The setting of this key, nullptr when nobody gave it.
const Draft::Setting* find_setting(const Draft::Settings& settings, std::string_view section,
                                   std::string_view name);
/// What was given and is sound, else the default. REQUIRES: the key has that type.
template <class T>
T value_or_default(const Draft::Settings& settings, std::string_view section, std::string_view name) {
  const Draft::Setting* setting = find_setting(settings, section, name);
  if (setting != nullptr && setting->is_sound) return std::get<T>(setting->value);
  return std::get<T>(default_of(key_of(section, name)));
}

/// BLOCKING: reads the file. False when it could not be read or is not TOML throughout.
bool apply_file(Draft& draft, const std::string& path, Report& report);
void apply_environment(Draft& draft, const std::map<std::string, std::string, std::less<>>& environment,
                       Report& report);
void apply_sets(Draft& draft, const std::vector<std::string>& sets, Report& report);

/// The Config; only good when nothing was reported.
Config finish(Draft draft, const Inputs& inputs, Report& report);
/// The part of it that is about upstreams.
std::vector<upstream::Settings> finish_upstreams(const Draft& draft, Report& report);

/// "unknown key", with what was probably meant, or how it is done instead.
std::string unknown_key(std::string_view section, std::string_view name);

}  // namespace entrepot::config
