#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The command line, as data: what the user asked for, or the text to print and the code to exit with. Runs
// nothing and reads no configuration. `cli.cc` is the only file that sees CLI11.

namespace entrepot::cli {

enum class Verb { serve, check_config, ls, stats, pin, unpin, purge, verify };

/// Exit codes of every verb.
inline constexpr int kSuccess = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

struct Command {
  Verb verb = Verb::serve;
  std::string config_file;        // "" = none
  std::vector<std::string> sets;  // KEY=VALUE, unchecked
  bool wants_json = false;
  std::vector<std::string> images;     // as they were given
  std::vector<std::string> upstreams;  // --upstream
  bool is_dry_run = false;
  bool repairs = false;  // of verify, as the next
  bool rebuilds = false;
};

/// What to do instead of running a verb: --help, --version, a usage error.
struct Answer {
  std::string text;
  bool is_error = false;  // for standard error, else for standard output
  int exit_code = kSuccess;
};

struct Parsed {
  std::optional<Command> command;
  Answer answer;  // counts when there is no command
};

/// The file that is read when --config does not name one, if it is there.
inline constexpr std::string_view kDefaultFile = "/etc/entrepot/entrepot.toml";

/// `arguments` without the program's name. `version` is what --version prints after "entrepot ", libraries
/// and all. `default_file` is a seam for tests.
Parsed parse(const std::vector<std::string>& arguments, const std::string& version,
             std::string_view default_file = kDefaultFile);

}  // namespace entrepot::cli
