#pragma once

#include <algorithm>
#include <iterator>
#include <string_view>

namespace entrepot::upstream {

/// Whether a host is one of Docker Hub's registry, by whatever name.
inline bool is_hub_host(std::string_view host) {
  constexpr std::string_view kHosts[] = {"docker.io", "index.docker.io", "registry-1.docker.io",
                                         "registry.hub.docker.com"};
  return std::ranges::find(kHosts, host) != std::end(kHosts);
}

}  // namespace entrepot::upstream
