#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "proxy/config/listen_address.h"
#include "upstream/settings.h"

// What entrepot runs with: defaults, the TOML file, the environment and --set, in this order, checked as a
// whole. Main loads it once, before any thread runs, and hands the parts to the constructors that want them;
// nobody else sees it. It holds no secret: passwords are named (password_file, password_env), never given.

namespace entrepot::config {

/// An amount of bytes, or a share of the file system that the cache lives on; see resolve_size().
struct SizeLimit {
  uint64_t bytes = 0;
  int percent = 0;  // 1..100; 0 = `bytes` counts
  bool operator==(const SizeLimit&) const = default;
};

struct Config {
  struct Tls {
    std::string certificate;  // with `key`, or both empty: plain
    std::string key;
    bool is_on() const { return !certificate.empty(); }
  };
  struct Server {
    std::vector<ListenAddress> listen;  // at least one
    int threads = 0;                    // 0 = one per core, at most 16
    Duration drain_timeout{60'000};
    Tls tls;
  };
  struct Control {
    ListenAddress listen;  // always a unix socket
  };
  struct Admin {
    std::optional<ListenAddress> listen;  // TCP; nullopt = off
  };
  struct Hooks {
    std::optional<ListenAddress> listen;  // TCP; nullopt = off
    std::string secret_file;
    bool prefetch = false;
  };
  struct Cache {
    std::string directory;  // absolute; need not exist yet
    SizeLimit max_size;
    uint64_t min_free = 0;
    bool offline = false;
    bool unverified_ranges = true;
    uint64_t scrub_rate = 0;  // bytes a second, 0 = off
  };
  struct Log {
    LogLevel level = LogLevel::info;
    LogFormat format = LogFormat::text;
    bool access = true;
  };

  Server server;
  Control control;
  Admin admin;
  Hooks hooks;
  Cache cache;
  Log log;
  bool builtin_upstreams = true;
  std::vector<upstream::Settings> upstreams;  // at least one; at most one has is_default
};

/// One thing that is wrong. `source` is the file, "environment variable ENTREPOT_…" or "--set …"; line and
/// column count from 1 and are 0 where there is none. Values that may hold a secret are not quoted.
struct ConfigError {
  std::string source;
  uint32_t line = 0;
  uint32_t column = 0;
  std::string key;  // "cache.max_size", "upstream.quay.io.username"; "" where it is about the file as a whole
  std::string reason;
};

/// "entrepot.toml:3:12: cache.max_size: …"
std::string to_text(const ConfigError& error);
/// {"errors": [{"source", "line", "column", "key", "reason"}]}, for `check-config --json`.
std::string to_json(const std::vector<ConfigError>& errors);

/// Everything that load() looks at besides the file, so that tests need no real environment.
struct Inputs {
  std::string file;               // "" = none
  std::vector<std::string> sets;  // KEY=VALUE, as --set got them
  std::map<std::string, std::string, std::less<>> environment;
  bool is_root = false;
  std::string working_directory;  // a relative cache.directory starts here
};

/// Inputs of this process: its environment (what concerns the configuration, nothing else), its user, its
/// directory.
Inputs process_inputs(std::string file, std::vector<std::string> sets);

/// Precedence: default < file < environment < --set. BLOCKING (reads the file). On failure every error there
/// is, in the order of their places. Contradictions between keys are left out while the file cannot be read
/// as TOML.
tl::expected<Config, std::vector<ConfigError>> load(const Inputs& inputs);

/// The effective configuration as a file that load() reads back to the same.
std::string to_toml(const Config& config);
/// The same as JSON, in the shape of the file; like the errors' without a newline at its end.
std::string to_json(const Config& config);

/// As the file writes it: "20GiB", "80%".
std::string text_of(const SizeLimit& limit);

/// The bytes that `limit` means on the file system of `directory`, or of its nearest parent that exists.
/// BLOCKING.
Result<uint64_t> resolve_size(const SizeLimit& limit, const std::string& directory);

}  // namespace entrepot::config
