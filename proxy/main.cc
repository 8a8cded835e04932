// The program: reads the command line and the configuration, and runs the verb.

#include <cstdio>
#include <string>
#include <vector>

#include "proxy/cli/cache_verb.h"
#include "proxy/cli/cli.h"
#include "proxy/config/config.h"
#include "proxy/daemon/daemon.h"
#include "proxy/daemon/process_setup.h"
#include "proxy/daemon/versions.h"

namespace entrepot {
namespace {

void print(std::FILE* stream, const std::string& text) { std::fwrite(text.data(), 1, text.size(), stream); }

void print_errors(const std::vector<config::ConfigError>& errors, bool wants_json) {
  if (wants_json) {
    print(stdout, config::to_json(errors) + "\n");
    return;
  }
  for (const config::ConfigError& error : errors) print(stderr, "entrepot: " + config::to_text(error) + "\n");
}

int run(const std::vector<std::string>& arguments) {
  daemon::keep_buffers_on_the_heap();
  cli::Parsed parsed = cli::parse(arguments, daemon::versions());
  if (!parsed.command) {
    print(parsed.answer.is_error ? stderr : stdout, parsed.answer.text);
    return parsed.answer.exit_code;
  }
  const cli::Command& command = *parsed.command;
  auto loaded = config::load(config::process_inputs(command.config_file, command.sets));
  if (!loaded) {
    print_errors(loaded.error(), command.wants_json);
    return cli::kFailed;
  }
  switch (command.verb) {
    case cli::Verb::check_config:
      print(stdout, command.wants_json ? config::to_json(*loaded) + "\n" : config::to_toml(*loaded));
      return cli::kSuccess;
    case cli::Verb::ls:
    case cli::Verb::stats:
    case cli::Verb::pin:
    case cli::Verb::unpin:
    case cli::Verb::purge:
    case cli::Verb::verify:
      return cli::run_cache_verb(command, *loaded);
    case cli::Verb::serve:
      daemon::prepare_to_serve();
      break;
  }
  auto load_again = [&command] {
    return config::load(config::process_inputs(command.config_file, command.sets));
  };
  Status served = daemon::serve(*loaded, load_again);
  if (served) return cli::kSuccess;
  print(stderr, "entrepot: " + served.error().message + "\n");
  return cli::kFailed;
}

}  // namespace
}  // namespace entrepot

int main(int argc, char** argv) { return entrepot::run(std::vector<std::string>(argv + 1, argv + argc)); }
