#include "proxy/config/builtin.h"

#include <array>

namespace entrepot::config {
namespace {

// One upstream under all its names: clients write any of them into ?ns=.
constexpr std::array<std::string_view, 3> kHubAliases = {"index.docker.io", "registry-1.docker.io",
                                                         "registry.hub.docker.com"};

constexpr std::array kBuiltins = {
    Builtin{"docker.io", "https://registry-1.docker.io", kHubAliases, true, true},
    Builtin{"quay.io", "https://quay.io", {}},
    Builtin{"ghcr.io", "https://ghcr.io", {}},
    Builtin{"public.ecr.aws", "https://public.ecr.aws", {}},
    Builtin{"registry.k8s.io", "https://registry.k8s.io", {}},
    Builtin{"gcr.io", "https://gcr.io", {}},
    Builtin{"mcr.microsoft.com", "https://mcr.microsoft.com", {}},
};

}  // namespace

std::span<const Builtin> all_builtins() { return kBuiltins; }

const Builtin* find_builtin(std::string_view name) {
  for (const Builtin& builtin : kBuiltins)
    if (builtin.name == name) return &builtin;
  return nullptr;
}

}  // namespace entrepot::config
