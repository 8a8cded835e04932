#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"
#include "cache/cache.h"
#include "upstream/settings.h"

namespace entrepot::pull {

/// Which upstream and repository a request means (docs/configuration.md, "Addressing"). The first rule that
/// fits decides: a configured upstream's name or alias as first component of the repository; `?ns=`; the
/// default upstream. What names a registry that is not configured is name_unknown, and never falls through to
/// the next rule. Immutable, shared by all loops.
class Addressing {
 public:
  explicit Addressing(std::span<const upstream::Settings> upstreams);

  struct Target {
    cache::Repository repository;
    std::string ns;  // the value of `ns` when it chose the upstream; echoed as OCI-Namespace
  };
  /// `ns`: the request's parameter of that name, decoded. `names_upstream`: only the first rule may fit (the
  /// URL began with a registry's name).
  Result<Target> resolve(std::string_view name, const std::optional<std::string>& ns,
                         bool names_upstream = false) const;

 private:
  const upstream::Settings* find(std::string_view name) const;

  std::unordered_map<std::string, upstream::Settings> by_name_;  // names and aliases
  std::string default_name_;                                     // "" = none
};

}  // namespace entrepot::pull
