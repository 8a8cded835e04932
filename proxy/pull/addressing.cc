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

std::string lower(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lowered;
}

// "host:port" without the port; "[v6]:port" too.
std::string_view without_port(std::string_view host) {
  size_t colon = host.rfind(':');
  bool is_port = colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos;
  return is_port ? host.substr(0, colon) : host;
}

const std::string kNoUpstream;

}  // namespace

Addressing::Addressing(std::span<const upstream::Settings> upstreams) {
  for (const upstream::Settings& settings : upstreams) {
    by_name_.emplace(settings.name, settings);
    for (const std::string& alias : settings.aliases) by_name_.emplace(alias, settings);
    for (const std::string& host : settings.hosts) by_host_.emplace(lower(host), settings.name);
    if (settings.is_default) default_name_ = settings.name;
  }
}

const upstream::Settings* Addressing::find(std::string_view name) const {
  auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? nullptr : &found->second;
}

const std::string& Addressing::selected_by(std::string_view host) const {
  if (by_host_.empty() || host.empty()) return kNoUpstream;
  std::string lowered = lower(host);
  auto found = by_host_.find(lowered);
  if (found == by_host_.end()) found = by_host_.find(std::string(without_port(lowered)));
  return found == by_host_.end() ? kNoUpstream : found->second;
}

Result<Addressing::Target> Addressing::resolve(const Asked& asked) const {
  std::string_view name = asked.name;
  const std::optional<std::string>& ns = asked.ns;
  size_t slash = name.find('/');
  std::string_view first = name.substr(0, slash);
  if (slash != std::string_view::npos) {
    if (const upstream::Settings* named = find(first)) {
      bool agrees = ns && find(*ns) == named;
      return Target{repository_of(*named, name.substr(slash + 1)), agrees ? *ns : std::string()};
    }
    if (looks_like_a_host(first)) return fail(not_configured(first));
  }
  if (asked.names_upstream) return fail(not_configured(first));
  if (ns) {
    const upstream::Settings* named = find(*ns);
    if (named == nullptr) return fail(not_configured(*ns));
    return Target{repository_of(*named, name), *ns};
  }
  const std::string& by_host = selected_by(asked.host);
  const upstream::Settings* fallback = find(by_host.empty() ? default_name_ : by_host);
  if (fallback == nullptr)
    return fail(Errc::name_unknown, "no default upstream is configured; name one in the path");
  return Target{repository_of(*fallback, name), {}};
}

}  // namespace entrepot::pull
