#include <algorithm>

#include "proxy/config/binding.h"
#include "proxy/config/config.h"

namespace entrepot::config {

std::string to_toml(const Config& config) {
  std::string out;
  std::string_view section;
  for (const Key& key : all_keys()) {
    if (key.is_of_upstream()) continue;
    if (key.section != section) out += "\n[" + std::string(key.section) + "]\n";
    section = key.section;
    out += std::string(key.name) + " = " + to_toml(take(key, config)) + "\n";
  }
  for (const upstream::Settings& settings : config.upstreams) {
    out += "\n[[upstream]]\n";
    for (const Key& key : all_keys())
      if (key.is_of_upstream()) out += std::string(key.name) + " = " + to_toml(take(key, settings)) + "\n";
  }
  return out;
}

}  // namespace entrepot::config
