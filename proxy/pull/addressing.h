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

/// Which upstream and repository a request means (docs/http.md). The first rule that
/// fits decides: a configured upstream's name or alias as first component of the repository; `?ns=`; the Host
/// header, which is one of an upstream's `hosts`; the default upstream. What names a registry that is not
/// configured is name_unknown, and never falls through to the next rule. Immutable, shared by all loops.
class Addressing {
 public:
  explicit Addressing(std::span<const upstream::Settings> upstreams);

  struct Target {
    cache::Repository repository;
    std::string ns;  // the value of `ns` when it says which upstream this is; echoed as OCI-Namespace
    std::string selected_by_host{};  // what the Host header alone would have meant; "" = nothing
  };
  /// What a request says of it.
  struct Asked {
    std::string_view name;
    std::optional<std::string> ns{};  // the parameter of that name, decoded
    std::string_view host{};          // the Host header, as sent
    bool names_upstream = false;      // the URL began with a registry's name: only the first rule may fit
  };
  Result<Target> resolve(const Asked& asked) const;
  /// Some upstream has `hosts`: else nobody need look for the header.
  bool selects_by_host() const { return !by_host_.empty(); }
  /// The name of the upstream that the Host header selects; "" = none.
  const std::string& selected_by(std::string_view host) const;

 private:
  const upstream::Settings* find(std::string_view name) const;

  std::unordered_map<std::string, upstream::Settings> by_name_;  // names and aliases
  std::unordered_map<std::string, std::string> by_host_;         // Host header, in lower case
  std::string default_name_;                                     // "" = none
};

}  // namespace entrepot::pull
