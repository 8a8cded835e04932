#include "upstream/docker_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "upstream/base64.h"
#include "upstream/hub_host.h"
#include "upstream/json_fields.h"

namespace entrepot::upstream {
namespace {

using Json = nlohmann::json;

// Of Docker Hub, as docker itself writes it.
constexpr std::string_view kHubServer = "https://index.docker.io/v1/";

tl::unexpected<Error> problem(std::string_view cause) {
  return fail(Errc::upstream_refused_credential, std::string(cause));
}

// "quay.io" of "https://quay.io/v2/"; a key with another path ("quay.io/team") is not the registry's as a
// whole.
std::string_view host_of_key(std::string_view key) {
  for (std::string_view scheme : {"https://", "http://"})
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  size_t slash = key.find('/');
  if (slash == std::string_view::npos) return key;
  std::string_view path = key.substr(slash);
  bool is_whole = path == "/" || path == "/v1" || path == "/v1/" || path == "/v2" || path == "/v2/";
  return is_whole ? key.substr(0, slash) : std::string_view();
}

bool is_key_of(std::string_view key, const Url& url) {
  std::string_view host = host_of_key(key);
  bool has_default_port = url.port() == (url.is_https() ? 443 : 80);
  if (host == url.authority() || (has_default_port && host == url.host())) return true;
  return is_hub_host(url.host()) && is_hub_host(host);
}

// It becomes a part of a program's name.
bool is_program_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

Result<DockerConfigEntry> by_program(std::string name, std::string server) {
  if (!is_program_name(name)) return problem("the name of a credential helper that makes no sense");
  return DockerConfigEntry{.program = std::move(name), .server = std::move(server)};
}

std::optional<std::string> decode_base64(std::string text) {
  while (text.ends_with('=')) text.pop_back();
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return decode_base64url(text);
}

// An entry of `auths`. Empty ones stand there for what a credsStore holds.
Result<std::optional<DockerConfigEntry>> by_auth(const Json& entry) {
  DockerConfigEntry found;
  if (!text_in(entry, "registrytoken").empty())
    return problem("the entry holds a registrytoken, which cannot be renewed and is not supported");
  if (std::string token = text_in(entry, "identitytoken"); !token.empty()) {
    found.identity_token = Secret(std::move(token));
    return found;
  }
  if (std::string auth = text_in(entry, "auth"); !auth.empty()) {
    std::optional<std::string> pair = decode_base64(std::move(auth));
    size_t colon = pair ? pair->find(':') : std::string::npos;
    if (colon == std::string::npos) return problem("the entry's auth is not the base64 of user:password");
    found.username = pair->substr(0, colon);
    std::string password = pair->substr(colon + 1);
    while (password.ends_with('\0')) password.pop_back();  // as docker does
    found.password = Secret(std::move(password));
    return found;
  }
  found.username = text_in(entry, "username");
  found.password = Secret(text_in(entry, "password"));
  if (found.username.empty()) return std::optional<DockerConfigEntry>();
  return found;
}

}  // namespace

Result<DockerConfigEntry> find_in_docker_config(std::string_view text, const Url& url) {
  Json config = Json::parse(text, nullptr, false);
  if (!config.is_object()) return problem("not a docker config.json");
  std::string server = is_hub_host(url.host()) ? std::string(kHubServer) : url.host();
  if (!is_hub_host(url.host()) && url.port() != (url.is_https() ? 443 : 80)) server = url.authority();
  if (const Json* programs = object_in(config, "credHelpers"))
    for (const auto& [key, name] : programs->items())
      if (is_key_of(key, url) && name.is_string()) return by_program(name.get<std::string>(), key);
  if (std::string store = text_in(config, "credsStore"); !store.empty())
    return by_program(std::move(store), std::move(server));
  if (const Json* auths = object_in(config, "auths")) {
    for (const auto& [key, entry] : auths->items()) {
      if (!is_key_of(key, url) || !entry.is_object()) continue;
      ENTREPOT_TRY_ASSIGN(std::optional<DockerConfigEntry> found, by_auth(entry));
      if (found) return std::move(*found);
    }
  }
  return problem("nothing of " + url.host() + " in credHelpers or auths, and no credsStore");
}

Result<DockerConfigEntry> parse_program_answer(std::string_view text) {
  Json answer = Json::parse(text, nullptr, false);
  if (!answer.is_object()) return problem("the helper printed no JSON object");
  DockerConfigEntry found;
  std::string username = text_in(answer, "Username");
  Secret secret(text_in(answer, "Secret"));
  if (username.empty() || secret.is_empty()) return problem("the helper printed no Username and Secret");
  if (username == "<token>") {
    found.identity_token = std::move(secret);
  } else {
    found.username = std::move(username);
    found.password = std::move(secret);
  }
  return found;
}

}  // namespace entrepot::upstream
