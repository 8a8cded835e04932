#include <algorithm>
#include <array>

#include "base/check.h"
#include "proxy/config/key.h"

namespace entrepot::config {
namespace {

constexpr bool kBuilt = true;
constexpr bool kLater = false;

constexpr int64_t kSecond = 1000;
constexpr int64_t kHour = 3600 * kSecond;
constexpr int64_t kYear = 365 * 24 * kHour;

constexpr std::array kKeys = {
    Key{"", "builtin_upstreams", Kind::boolean, "true", kBuilt,
        "keep the built-in upstreams that no table names"},

    Key{"server", "listen", Kind::listen_list, "127.0.0.1:5000", kBuilt,
        "host:port, [v6]:port, unix:/path; systemd sockets are taken over when passed"},
    Key{"server", "threads", Kind::integer, "0", kBuilt, "event loops; 0 = one per core, at most 16", 0, 16},
    Key{"server", "drain_timeout", Kind::duration, "60s", kBuilt,
        "how long running transfers may go on after a stop", 0, 24 * kHour},
    Key{"server.tls", "certificate", Kind::path, "", kBuilt,
        "PEM, the whole chain; with key: TLS on every TCP address of server.listen; reloaded when the files "
        "change"},
    Key{"server.tls", "key", Kind::path, "", kBuilt,
        "PEM, the certificate's private key, without a pass phrase"},
    Key{"server.tls", "client_ca", Kind::path, "", kLater, "set = client certificates are required"},

    Key{"control", "listen", Kind::listen_unix, "", kBuilt,
        "unix:/path; default: unix:<cache.directory>/control.sock"},

    Key{"admin", "listen", Kind::listen_tcp, "127.0.0.1:5001", kBuilt, "host:port; \"\" = off"},

    Key{"hooks", "listen", Kind::listen_tcp, "", kBuilt,
        "host:port, for push events of Quay, Docker Hub and ECR; \"\" = off"},
    Key{"hooks", "secret_file", Kind::path, "", kBuilt, "holds the secret path element; read at the start"},
    Key{"hooks", "prefetch", Kind::boolean, "false", kBuilt,
        "fetch the images whose push was announced, all platforms of them"},

    Key{"cache", "directory", Kind::path, "", kBuilt,
        "default: $STATE_DIRECTORY, else /var/lib/entrepot as root, else $XDG_CACHE_HOME/entrepot"},
    Key{"cache", "max_size", Kind::size_or_percent, "20GiB", kBuilt,
        "as the file system counts it; also \"80%\" of the file system", 1},
    Key{"cache", "min_free", Kind::size, "1GiB", kBuilt, "of the file system, kept free on top"},
    Key{"cache", "offline", Kind::boolean, "false", kBuilt, "true = never dial out, never evict"},
    Key{"cache", "unverified_ranges", Kind::boolean, "true", kBuilt,
        "false = a range of a blob that is being fetched waits for the whole"},
    Key{"cache", "scrub_rate", Kind::rate, "20MiB/s", kBuilt,
        "how fast blobs are hashed again, all of them within a day where that is enough; 0 = never"},

    Key{"log", "level", Kind::choice, "info", kBuilt, "", 0, 0, "debug|info|warn|error"},
    Key{"log", "format", Kind::choice, "text", kBuilt, "", 0, 0, "text|json"},
    Key{"log", "access", Kind::boolean, "true", kBuilt, "one line per request"},

    Key{"upstream", "name", Kind::name, "", kBuilt,
        "what ?ns= and the path prefix say; well-known names need nothing more"},
    Key{"upstream", "aliases", Kind::name_list, "", kBuilt,
        "further names (a host:port cannot stand in a path); a built-in keeps its own"},
    Key{"upstream", "url", Kind::base_url, "", kBuilt,
        "known for the built-ins and for *.dkr.ecr.*.amazonaws.com; may carry a path prefix"},
    Key{"upstream", "default", Kind::boolean, "false", kBuilt,
        "what requests mean that name no registry; docker.io unless another says so"},
    Key{"upstream", "hosts", Kind::host_list, "", kBuilt, "Host headers that select it"},
    Key{"upstream", "mirrors", Kind::base_url_list, "", kBuilt,
        "further base URLs with the same content, tried in order when the url does not answer; asked without "
        "the "
        "credential"},
    Key{"upstream", "auth", Kind::choice, "auto", kBuilt,
        "auto = follow the challenge, and for a host of Amazon ECR ecr", 0, 0, "auto|anonymous|basic|ecr"},
    Key{"upstream", "username", Kind::text, "", kBuilt, "with password_file or password_env"},
    Key{"upstream", "password_file", Kind::path, "", kBuilt, "re-read when it changes"},
    Key{"upstream", "password_env", Kind::variable, "", kBuilt,
        "name of the environment variable that holds the password"},
    Key{"upstream", "docker_config", Kind::path, "", kBuilt,
        "a docker config.json to take the credential from, helpers included; looked at again each minute"},
    Key{"upstream", "aws_profile", Kind::text, "", kBuilt,
        "for auth = \"ecr\": this profile and no other source; default: the AWS credential chain"},
    Key{"upstream", "ca_file", Kind::path, "", kBuilt, "PEM; instead of the system's"},
    Key{"upstream", "client_certificate", Kind::path, "", kBuilt,
        "with client_key; PEM, shown to the url's own host alone; read at the start"},
    Key{"upstream", "client_key", Kind::path, "", kBuilt,
        "with client_certificate; PEM, without a passphrase"},
    Key{"upstream", "proxy", Kind::proxy_url, "", kBuilt,
        "http(s) or socks proxy; the environment's proxy variables only when \"env\""},
    Key{"upstream", "connect_timeout", Kind::duration, "10s", kBuilt, "for TCP and TLS together", 1, kHour},
    Key{"upstream", "header_timeout", Kind::duration, "30s", kBuilt,
        "from the request's end to the head of the answer", 1, kHour},
    Key{"upstream", "tag_ttl", Kind::duration, "60s", kBuilt,
        "how long a tag, a tag list and referrers are served without asking again", 0, kYear},
    Key{"upstream", "stale_while_revalidate", Kind::duration, "0s", kBuilt,
        "after tag_ttl, how long the old answer is given while asking in the background", 0, kYear},
    Key{"upstream", "stale_ttl", Kind::duration_or_unlimited, "unlimited", kBuilt,
        "how long a tag may be served when the upstream fails", 0, kYear},
    Key{"upstream", "negative_ttl", Kind::duration, "5s", kBuilt, "a true 404 of a tag; never a digest", 0,
        kYear},
    Key{"upstream", "max_connections", Kind::integer, "32", kBuilt,
        "connections to this upstream, and to each of its mirrors", 1, 1024},
    Key{"upstream", "segments", Kind::integer, "1", kLater, "parallel ranges for a large cold blob", 1, 16},
    Key{"upstream", "trusted_realms", Kind::host_list, "", kBuilt,
        "further host[:port] token services that may get this upstream's credentials"},
    Key{"upstream", "allow_private", Kind::cidr_list, "", kBuilt,
        "CIDRs that its redirects and realms may resolve into (an explicit url is always allowed)"},
    Key{"upstream", "access", Kind::choice, "anonymous", kBuilt,
        "anonymous = no credential is sent; public = our credential, for its rate limit, and "
        "only what anybody may read; shared = our credential",
        0, 0, "anonymous|public|shared", "passthrough"},
    Key{"upstream", "allow_unauthenticated_private", Kind::boolean, "false", kBuilt,
        "spelt out: with shared, anyone who reaches us may read what our credential can"},
    Key{"upstream", "ecr_endpoint", Kind::base_url, "", kBuilt, "override of the ECR API endpoint"},
    Key{"upstream", "ecr_region", Kind::text, "", kBuilt, "default: from the registry's host name"},
};

}  // namespace

std::span<const Key> all_keys() { return kKeys; }

const Key* find_key(std::string_view section, std::string_view name) {
  for (const Key& key : kKeys)
    if (key.section == section && key.name == name) return &key;
  return nullptr;
}

const Key& key_of(std::string_view section, std::string_view name) {
  const Key* key = find_key(section, name);
  CHECK(key != nullptr);
  return *key;
}

bool is_section(std::string_view section) {
  return std::any_of(kKeys.begin(), kKeys.end(), [&](const Key& key) { return key.section == section; });
}

std::string full_name(const Key& key, std::string_view upstream) {
  std::string name(key.section);
  if (!upstream.empty()) name += "." + std::string(upstream);
  if (!name.empty()) name += ".";
  return name + std::string(key.name);
}

std::string as_variable_part(std::string_view text) {
  std::string part;
  for (char c : text) {
    bool is_lower = c >= 'a' && c <= 'z';
    bool stays = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    part += is_lower ? static_cast<char>(c - 'a' + 'A') : stays ? c : '_';
  }
  return part;
}

std::string variable_of(const Key& key, std::string_view upstream) {
  std::string variable = "ENTREPOT_";
  // "server.tls" is SERVER__TLS: each dot of a section is a level, each dot of an upstream's name is part of
  // it.
  for (char c : key.section) variable += c == '.' ? "__" : as_variable_part(std::string_view(&c, 1));
  if (!key.section.empty()) variable += "__";
  if (!upstream.empty()) variable += as_variable_part(upstream) + "__";
  return variable + as_variable_part(key.name);
}

}  // namespace entrepot::config
