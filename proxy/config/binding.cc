#include "proxy/config/binding.h"

#include <array>

#include "base/check.h"
#include "base/units.h"
#include "proxy/config/listen_address.h"

namespace entrepot::config {
namespace {

using upstream::Access;
using upstream::Auth;
using upstream::Settings;

constexpr std::string_view kPerSecond = "/s";
constexpr std::string_view kUnlimited = "unlimited";

template <class T>
struct Binding {
  std::string_view section;
  std::string_view name;
  void (*put)(T&, const Value&);
  Value (*take)(const T&);
};

const std::string& text_of(const Value& value) { return std::get<std::string>(value); }

// check_value() accepted the text before it comes here.
template <class T>
T sound(std::optional<T> parsed) {
  CHECK(parsed.has_value());
  return *parsed;
}

ListenAddress address_of(const std::string& text) {
  auto address = parse_listen_address(text);
  CHECK(address.has_value());
  return *address;
}

std::vector<ListenAddress> addresses_of(const Value& value) {
  std::vector<ListenAddress> addresses;
  for (const std::string& text : std::get<TextList>(value)) addresses.push_back(address_of(text));
  return addresses;
}

TextList texts_of(const std::vector<ListenAddress>& addresses) {
  TextList list;
  for (const ListenAddress& address : addresses) list.push_back(address.text());
  return list;
}

SizeLimit limit_of(const std::string& text) {
  if (text.ends_with('%')) return {0, std::stoi(text)};
  return {sound(parse_size(text)), 0};
}

uint64_t rate_of(std::string_view text) {
  if (text.ends_with(kPerSecond)) text.remove_suffix(kPerSecond.size());
  return sound(parse_size(text));
}

// Names of enumerators, in their order.
constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 2> kFormats = {"text", "json"};
constexpr std::array<std::string_view, 4> kAuths = {"auto", "anonymous", "basic", "ecr"};
constexpr std::array<std::string_view, 3> kAccesses = {"anonymous", "public", "shared"};
static_assert(static_cast<int>(LogLevel::error) == 3 && static_cast<int>(LogFormat::json) == 1);
static_assert(static_cast<int>(Auth::ecr) == 3 && static_cast<int>(Access::shared) == 2);

template <class E, size_t N>
E enumerator(const std::array<std::string_view, N>& names, const Value& value) {
  for (size_t i = 0; i < N; ++i)
    if (names.at(i) == text_of(value)) return static_cast<E>(i);
  CHECK(false);
  return E{};
}
template <class E, size_t N>
Value name_of(const std::array<std::string_view, N>& names, E value) {
  return std::string(names.at(static_cast<size_t>(value)));
}

const std::array kGlobal = {
    Binding<Config>{"", "builtin_upstreams",
                    [](Config& c, const Value& v) { c.builtin_upstreams = std::get<bool>(v); },
                    [](const Config& c) { return Value(c.builtin_upstreams); }},
    Binding<Config>{"server", "listen", [](Config& c, const Value& v) { c.server.listen = addresses_of(v); },
                    [](const Config& c) { return Value(texts_of(c.server.listen)); }},
    Binding<Config>{
        "server", "threads",
        [](Config& c, const Value& v) { c.server.threads = static_cast<int>(std::get<int64_t>(v)); },
        [](const Config& c) { return Value(int64_t{c.server.threads}); }},
    Binding<Config>{
        "server", "drain_timeout",
        [](Config& c, const Value& v) { c.server.drain_timeout = sound(parse_duration(text_of(v))); },
        [](const Config& c) { return Value(format_duration(c.server.drain_timeout)); }},
    Binding<Config>{"server.tls", "certificate",
                    [](Config& c, const Value& v) { c.server.tls.certificate = text_of(v); },
                    [](const Config& c) { return Value(c.server.tls.certificate); }},
    Binding<Config>{"server.tls", "key", [](Config& c, const Value& v) { c.server.tls.key = text_of(v); },
                    [](const Config& c) { return Value(c.server.tls.key); }},
    Binding<Config>{"control", "listen",
                    [](Config& c, const Value& v) {
                      c.control.listen = text_of(v).empty() ? ListenAddress() : address_of(text_of(v));
                    },
                    [](const Config& c) { return Value(c.control.listen.text()); }},
    Binding<Config>{"admin", "listen",
                    [](Config& c, const Value& v) {
                      if (!text_of(v).empty()) c.admin.listen = address_of(text_of(v));
                    },
                    [](const Config& c) { return Value(c.admin.listen ? c.admin.listen->text() : ""); }},
    Binding<Config>{"hooks", "listen",
                    [](Config& c, const Value& v) {
                      if (!text_of(v).empty()) c.hooks.listen = address_of(text_of(v));
                    },
                    [](const Config& c) { return Value(c.hooks.listen ? c.hooks.listen->text() : ""); }},
    Binding<Config>{"hooks", "secret_file",
                    [](Config& c, const Value& v) { c.hooks.secret_file = text_of(v); },
                    [](const Config& c) { return Value(c.hooks.secret_file); }},
    Binding<Config>{"hooks", "prefetch",
                    [](Config& c, const Value& v) { c.hooks.prefetch = std::get<bool>(v); },
                    [](const Config& c) { return Value(c.hooks.prefetch); }},
    Binding<Config>{"cache", "directory", [](Config& c, const Value& v) { c.cache.directory = text_of(v); },
                    [](const Config& c) { return Value(c.cache.directory); }},
    Binding<Config>{"cache", "max_size",
                    [](Config& c, const Value& v) { c.cache.max_size = limit_of(text_of(v)); },
                    [](const Config& c) { return Value(text_of(c.cache.max_size)); }},
    Binding<Config>{"cache", "min_free",
                    [](Config& c, const Value& v) { c.cache.min_free = sound(parse_size(text_of(v))); },
                    [](const Config& c) { return Value(format_size(c.cache.min_free)); }},
    Binding<Config>{"cache", "offline",
                    [](Config& c, const Value& v) { c.cache.offline = std::get<bool>(v); },
                    [](const Config& c) { return Value(c.cache.offline); }},
    Binding<Config>{"cache", "unverified_ranges",
                    [](Config& c, const Value& v) { c.cache.unverified_ranges = std::get<bool>(v); },
                    [](const Config& c) { return Value(c.cache.unverified_ranges); }},
    Binding<Config>{
        "cache", "scrub_rate", [](Config& c, const Value& v) { c.cache.scrub_rate = rate_of(text_of(v)); },
        [](const Config& c) { return Value(format_size(c.cache.scrub_rate) + std::string(kPerSecond)); }},
    Binding<Config>{"log", "level",
                    [](Config& c, const Value& v) { c.log.level = enumerator<LogLevel>(kLevels, v); },
                    [](const Config& c) { return name_of(kLevels, c.log.level); }},
    Binding<Config>{"log", "format",
                    [](Config& c, const Value& v) { c.log.format = enumerator<LogFormat>(kFormats, v); },
                    [](const Config& c) { return name_of(kFormats, c.log.format); }},
    Binding<Config>{"log", "access", [](Config& c, const Value& v) { c.log.access = std::get<bool>(v); },
                    [](const Config& c) { return Value(c.log.access); }},
};

using Text = std::string Settings::*;
using List = std::vector<std::string> Settings::*;
using Span = Duration Settings::*;

template <Text kField>
constexpr Binding<Settings> text_binding(std::string_view name) {
  return {"upstream", name, [](Settings& s, const Value& v) { s.*kField = text_of(v); },
          [](const Settings& s) { return Value(s.*kField); }};
}
template <List kField>
constexpr Binding<Settings> list_binding(std::string_view name) {
  return {"upstream", name, [](Settings& s, const Value& v) { s.*kField = std::get<TextList>(v); },
          [](const Settings& s) { return Value(s.*kField); }};
}
template <Span kField>
constexpr Binding<Settings> span_binding(std::string_view name) {
  return {"upstream", name,
          [](Settings& s, const Value& v) { s.*kField = sound(parse_duration(text_of(v))); },
          [](const Settings& s) { return Value(format_duration(s.*kField)); }};
}

const std::array kUpstream = {
    text_binding<&Settings::name>("name"),
    list_binding<&Settings::aliases>("aliases"),
    text_binding<&Settings::url>("url"),
    list_binding<&Settings::mirrors>("mirrors"),
    list_binding<&Settings::hosts>("hosts"),
    Binding<Settings>{"upstream", "default",
                      [](Settings& s, const Value& v) { s.is_default = std::get<bool>(v); },
                      [](const Settings& s) { return Value(s.is_default); }},
    Binding<Settings>{"upstream", "auth",
                      [](Settings& s, const Value& v) { s.auth = enumerator<Auth>(kAuths, v); },
                      [](const Settings& s) { return name_of(kAuths, s.auth); }},
    text_binding<&Settings::username>("username"),
    text_binding<&Settings::password_file>("password_file"),
    text_binding<&Settings::password_env>("password_env"),
    text_binding<&Settings::docker_config>("docker_config"),
    text_binding<&Settings::aws_profile>("aws_profile"),
    text_binding<&Settings::client_certificate>("client_certificate"),
    text_binding<&Settings::client_key>("client_key"),
    text_binding<&Settings::ca_file>("ca_file"),
    text_binding<&Settings::proxy>("proxy"),
    span_binding<&Settings::connect_timeout>("connect_timeout"),
    span_binding<&Settings::header_timeout>("header_timeout"),
    span_binding<&Settings::tag_ttl>("tag_ttl"),
    span_binding<&Settings::stale_while_revalidate>("stale_while_revalidate"),
    Binding<Settings>{"upstream", "stale_ttl",
                      [](Settings& s, const Value& v) {
                        if (text_of(v) != kUnlimited) s.stale_ttl = sound(parse_duration(text_of(v)));
                      },
                      [](const Settings& s) {
                        return Value(s.stale_ttl ? format_duration(*s.stale_ttl) : std::string(kUnlimited));
                      }},
    span_binding<&Settings::negative_ttl>("negative_ttl"),
    Binding<Settings>{
        "upstream", "max_connections",
        [](Settings& s, const Value& v) { s.max_connections = static_cast<int>(std::get<int64_t>(v)); },
        [](const Settings& s) { return Value(int64_t{s.max_connections}); }},
    list_binding<&Settings::trusted_realms>("trusted_realms"),
    list_binding<&Settings::allow_private>("allow_private"),
    Binding<Settings>{"upstream", "access",
                      [](Settings& s, const Value& v) { s.access = enumerator<Access>(kAccesses, v); },
                      [](const Settings& s) { return name_of(kAccesses, s.access); }},
    text_binding<&Settings::ecr_endpoint>("ecr_endpoint"),
    text_binding<&Settings::ecr_region>("ecr_region"),
    // Without a field: `shared` is accepted only with it, and all else goes on as if it were false.
    Binding<Settings>{"upstream", "allow_unauthenticated_private", [](Settings&, const Value&) {},
                      [](const Settings& s) { return Value(s.access == Access::shared); }},
};

template <class Bindings, class T>
bool put_in(const Bindings& bindings, const Key& key, const Value& value, T& target) {
  for (const auto& binding : bindings) {
    if (binding.section != key.section || binding.name != key.name) continue;
    binding.put(target, value);
    return true;
  }
  return false;
}

template <class Bindings, class T>
Value take_from(const Bindings& bindings, const Key& key, const T& source) {
  for (const auto& binding : bindings)
    if (binding.section == key.section && binding.name == key.name) return binding.take(source);
  return default_of(key);
}

}  // namespace

bool put(const Key& key, const Value& value, Config& config) { return put_in(kGlobal, key, value, config); }
bool put(const Key& key, const Value& value, Settings& settings) {
  return put_in(kUpstream, key, value, settings);
}

Value take(const Key& key, const Config& config) { return take_from(kGlobal, key, config); }
Value take(const Key& key, const Settings& settings) { return take_from(kUpstream, key, settings); }

std::string text_of(const SizeLimit& limit) {
  return limit.percent != 0 ? std::to_string(limit.percent) + "%" : format_size(limit.bytes);
}

}  // namespace entrepot::config
