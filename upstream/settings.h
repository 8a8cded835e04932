#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"

namespace entrepot::upstream {

/// Who may see what is fetched, and with which credential it is fetched (docs: "access" of an upstream).
/// `open` is written "public".
enum class Access { anonymous, open, shared };  // passthrough comes with access control
enum class Auth { automatic, anonymous, basic, ecr };

/// One configured registry, as the configuration gave it, checked. Immutable, shared by all loops.
struct Settings {
  std::string name;  // "docker.io"
  std::vector<std::string> aliases;
  std::string url;                   // base URL, no trailing slash; may carry a path prefix
  std::vector<std::string> mirrors;  // further base URLs, tried in order, asked without our credential
  std::vector<std::string> hosts;    // Host headers that select it: host[:port]
  bool is_default = false;
  bool adds_library = false;  // Docker Hub: one-component names get `library/`
  Auth auth = Auth::automatic;
  Access access = Access::anonymous;
  std::string username;
  std::string password_file;       // read when needed, read again when it changed
  std::string password_env;        // name of a variable
  std::string docker_config;       // a docker config.json to take the credential from
  std::string aws_profile;         // of the AWS credential chain; "" = what the environment says
  std::string ecr_endpoint;        // of the API that gives out tokens; "" = by the url's host name
  std::string ecr_region;          // "" = by the url's host name
  std::string ca_file;             // PEM; instead of the system's
  std::string client_certificate;  // PEM, with client_key; shown to the url's own host alone
  std::string client_key;
  std::string proxy;  // "" = none, "env", or a URL
  Duration connect_timeout{10'000};
  Duration header_timeout{30'000};  // from the request's end to the head of the final answer, each hop
  Duration tag_ttl{60'000};
  Duration stale_while_revalidate{0};  // after tag_ttl, given while asking in the background
  std::optional<Duration> stale_ttl;   // after tag_ttl, given when the upstream fails; nothing = for ever
  Duration negative_ttl{5'000};        // of a tag that is not there
  int max_connections = 32;
  std::vector<std::string> trusted_realms;  // host[:port]
  std::vector<std::string> allow_private;   // CIDRs
};

}  // namespace entrepot::upstream
