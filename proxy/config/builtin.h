#pragma once

#include <span>
#include <string_view>

namespace entrepot::config {

/// A registry that needs no configuration. All are reached at https://<name>, but Docker Hub (wire facts: the
/// API's host is registry-1.docker.io, and one-component names get `library/`).
struct Builtin {
  std::string_view name;
  std::string_view url;
  std::span<const std::string_view> aliases;
  bool adds_library = false;
  bool is_default = false;  // unless a configured upstream says `default = true`
};

std::span<const Builtin> all_builtins();
/// nullptr when `name` is none.
const Builtin* find_builtin(std::string_view name);

}  // namespace entrepot::config
