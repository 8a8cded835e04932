#include "proxy/pull/addressing.h"

namespace entrepot::pull {
namespace {

// As docker tells a registry's host from a repository's first component.
bool looks_like_a_host(std::string_view component) {
  return component.find_first_of(".:") != std::string_view::npos || component == "localhost";
}

cache::Repository repository_of(const upstream::Settings& upstream, std::string_view name) {
  bool is_official = upstream.adds_library && name.find('/') == std::string_view::npos;
  return {upstream.name, (is_official ? "library/" : "") + std::string(name)};
}

Error not_configured(std::string_view registry) {
  return Error{Errc::name_unknown,
               "registry " + std::string(registry.substr(0, 255)) + " is not configured here"};
}

}  // namespace

Addressing::Addressing(std::span<const upstream::Settings> upstreams) {
  for (const upstream::Settings& settings : upstreams) {
    by_name_.emplace(settings.name, settings);
    for (const std::string& alias : settings.aliases) by_name_.emplace(alias, settings);
    if (settings.is_default) default_name_ = settings.name;
  }
}

const upstream::Settings* Addressing::find(std::string_view name) const {
  auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? nullptr : &found->second;
}

Result<Addressing::Target> Addressing::resolve(std::string_view name, const std::optional<std::string>& ns,
                                               bool names_upstream) const {
  size_t slash = name.find('/');
  std::string_view first = name.substr(0, slash);
  if (slash != std::string_view::npos) {
    if (const upstream::Settings* named = find(first))
      return Target{repository_of(*named, name.substr(slash + 1)), {}};
    if (looks_like_a_host(first)) return fail(not_configured(first));
  }
  if (names_upstream) return fail(not_configured(first));
  if (ns) {
    const upstream::Settings* named = find(*ns);
    if (named == nullptr) return fail(not_configured(*ns));
    return Target{repository_of(*named, name), *ns};
  }
  const upstream::Settings* fallback = find(default_name_);
  if (fallback == nullptr)
    return fail(Errc::name_unknown, "no default upstream is configured; name one in the path");
  return Target{repository_of(*fallback, name), {}};
}

}  // namespace entrepot::pull
