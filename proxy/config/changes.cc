#include "proxy/config/changes.h"

#include <algorithm>

#include "proxy/config/binding.h"

namespace entrepot::config {

std::vector<std::string> changed_keys(const Config& before, const Config& after) {
  std::vector<std::string> changed;
  bool has_same_upstreams = std::ranges::equal(before.upstreams, after.upstreams, {},
                                               &upstream::Settings::name, &upstream::Settings::name);
  for (const Key& key : all_keys()) {
    if (!key.is_of_upstream()) {
      if (take(key, before) != take(key, after)) changed.push_back(full_name(key));
      continue;
    }
    for (size_t i = 0; has_same_upstreams && i < before.upstreams.size(); ++i)
      if (take(key, before.upstreams[i]) != take(key, after.upstreams[i]))
        changed.push_back(full_name(key, before.upstreams[i].name));
  }
  if (!has_same_upstreams) changed.emplace_back("upstream");
  return changed;
}

}  // namespace entrepot::config
