#include "proxy/cli/cli.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace entrepot::cli {
namespace {

// The options that verbs share. CLI11 writes into it while it parses.
struct Options {
  std::string config_file;
  std::vector<std::string> sets;
  bool wants_json = false;
};

void add_config_options(CLI::App& verb, Options& options, std::string_view default_file) {
  verb.add_option("--config", options.config_file,
                  "configuration file (TOML); without it " + std::string(default_file) + ", if that exists")
      ->type_name("FILE");
  // One value each time: `--set a=1 b=2` is a usage error, not two values.
  verb.add_option("--set", options.sets, "set one key, like cache.max_size=5GiB; may be repeated")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

Answer answer_of(const CLI::App& app, const CLI::ParseError& error, const std::string& version) {
  if (error.get_name() == "CallForVersion") return {"entrepot " + version + "\n", false, kSuccess};
  if (error.get_exit_code() == 0) return {app.help(), false, kSuccess};
  return {std::string("entrepot: ") + error.what() + "\nTry `entrepot --help`.\n", true, kUsage};
}

std::string file_of(const CLI::App& verb, const Options& options, std::string_view default_file) {
  if (verb.count("--config") > 0) return options.config_file;
  std::string file(default_file);
  // Present but unreadable is for load() to complain about: silently doing without it would be worse.
  return access(file.c_str(), F_OK) == 0 ? file : "";
}

}  // namespace

Parsed parse(const std::vector<std::string>& arguments, const std::string& version,
             std::string_view default_file) {
  Options options;
  CLI::App app("entrepot: a pull-through caching container-registry proxy", "entrepot");
  app.set_version_flag("--version", version, "print the version, and those of the libraries");
  app.require_subcommand(1);
  CLI::App* serve = app.add_subcommand("serve", "run the proxy (all keys have defaults)");
  CLI::App* check = app.add_subcommand("check-config", "print the effective configuration");
  add_config_options(*serve, options, default_file);
  add_config_options(*check, options, default_file);
  check->add_flag("--json", options.wants_json, "print JSON");

  // CLI11 wants them backwards, and throws for everything that is not a command.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(std::move(reversed));
    const CLI::App& verb = serve->parsed() ? *serve : *check;
    Command command;
    command.verb = serve->parsed() ? Verb::serve : Verb::check_config;
    command.config_file = file_of(verb, options, default_file);
    command.sets = options.sets;
    command.wants_json = options.wants_json;
    if (verb.count("--config") > 0 && command.config_file.empty())
      return {std::nullopt, {"entrepot: --config needs a file\n", true, kUsage}};
    return {std::move(command), {}};
  } catch (const CLI::ParseError& error) {
    const CLI::App& asked = serve->parsed() ? *serve : check->parsed() ? *check : app;
    return {std::nullopt, answer_of(asked, error, version)};
  }
}

}  // namespace entrepot::cli
