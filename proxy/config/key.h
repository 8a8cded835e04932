#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proxy/config/value.h"

// The table of all keys: what can be configured is what stands here. The file's reader, the environment,
// --set, check-config, conf/entrepot.toml and docs/configuration.md all follow it (the last two by a test).

namespace entrepot::config {

enum class Kind {
  boolean,
  integer,          // within [least, most]
  size,             // base/units.h
  size_or_percent,  // "80%" too
  rate,             // a size and "/s", or 0
  duration,         // within [least, most] milliseconds
  duration_or_unlimited,
  text,
  choice,  // one of `choices`
  path,
  listen,  // host:port, [v6]:port or unix:/path; "" where the default is ""
  listen_tcp,
  listen_unix,
  listen_list,
  base_url,  // http(s)://host[:port][/prefix]
  base_url_list,
  proxy_url,  // "", "env" or a URL
  variable,   // the name of an environment variable
  name,       // of an upstream
  name_list,
  host_list,  // host[:port]
  cidr_list,
};

struct Key {
  std::string_view section;  // "cache", "server.tls", "upstream"; "" = top of the file
  std::string_view name;
  Kind kind;
  std::string_view default_text;  // as the environment would write it
  bool is_built;                  // false: refused unless it has its default
  std::string_view doc;
  int64_t least = 0;
  int64_t most = std::numeric_limits<int64_t>::max();
  std::string_view choices = "";        // separated by '|'
  std::string_view later_choices = "";  // known, but not built yet

  bool is_of_upstream() const { return section == "upstream"; }
};

std::span<const Key> all_keys();

/// nullptr when there is none.
const Key* find_key(std::string_view section, std::string_view name);
/// REQUIRES: it exists.
const Key& key_of(std::string_view section, std::string_view name);
bool is_section(std::string_view section);

/// "cache.max_size"; of an upstream "upstream.<upstream>.username".
std::string full_name(const Key& key, std::string_view upstream = "");
/// "ENTREPOT_CACHE__MAX_SIZE", "ENTREPOT_UPSTREAM__QUAY_IO__USERNAME".
std::string variable_of(const Key& key, std::string_view upstream = "");
/// Upper case, everything else than letters and digits as '_'.
std::string as_variable_part(std::string_view text);

/// Text of the environment or of --set in the shape that the key wants. Lists are separated by commas.
Checked value_from_text(const Key& key, std::string_view text);

/// The one spelling of a value, or what is wrong with it; says nothing on whether the feature is built.
Checked canonical(const Key& key, const Value& value);

/// canonical(), and for what is not built yet: the default or a refusal.
Checked check_value(const Key& key, const Value& value);

Value default_of(const Key& key);

/// " (did you mean `max_size`?)", or "" when nothing in `known` is near.
std::string suggestion(std::string_view unknown, std::span<const std::string> known);

}  // namespace entrepot::config
