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
  std::vector<std::string> images;
  std::vector<std::string> upstreams;
  bool is_dry_run = false;
  bool repairs = false;
  bool rebuilds = false;
};

struct VerbEntry {
  Verb verb;
  const char* name;
  const char* description;
};
constexpr VerbEntry kVerbs[] = {
    {Verb::serve, "serve", "run the proxy (all keys have defaults)"},
    {Verb::check_config, "check-config", "print the effective configuration"},
    {Verb::ls, "ls", "list the images in the cache"},
    {Verb::stats, "stats", "say how much is in the cache, of what"},
    {Verb::pin, "pin", "keep images: they are not evicted"},
    {Verb::unpin, "unpin", "let images be evicted again"},
    {Verb::purge, "purge", "take images out of the cache"},
    {Verb::verify, "verify", "hash all that is in the cache, and say what is damaged"},
};
constexpr const char* kImages =
    "nginx:1.27, quay.io/team/app (all of its tags), quay.io/team/*:1.* (globs), NAME@sha256:..., "
    "sha256:..., "
    "quay.io (all of that upstream), '*' (everything)";

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

void add_image_options(CLI::App& verb, Verb which, Options& options) {
  verb.add_option("images", options.images, kImages)->type_name("IMAGE");
  verb.add_option("--upstream", options.upstreams, "all images of this upstream; may be repeated")
      ->type_name("NAME")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  if (which != Verb::ls) verb.add_flag("--dry-run", options.is_dry_run, "say what would be done");
}

void add_options(CLI::App& app, const VerbEntry& entry, Options& options, std::string_view default_file) {
  CLI::App& verb = *app.add_subcommand(entry.name, entry.description);
  add_config_options(verb, options, default_file);
  if (entry.verb != Verb::serve) verb.add_flag("--json", options.wants_json, "print JSON");
  bool takes_images = entry.verb == Verb::ls || entry.verb == Verb::pin || entry.verb == Verb::unpin ||
                      entry.verb == Verb::purge;
  if (takes_images) add_image_options(verb, entry.verb, options);
  if (entry.verb != Verb::verify) return;
  verb.add_flag("--repair", options.repairs,
                "drop what is damaged, so that it is fetched again; take in what is right");
  verb.add_flag("--rebuild", options.rebuilds, "make the index anew, of a cache that nobody serves");
}

const VerbEntry* find_parsed(const CLI::App& app) {
  for (const VerbEntry& entry : kVerbs)
    if (app.got_subcommand(entry.name)) return &entry;
  return nullptr;
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
  for (const VerbEntry& entry : kVerbs) add_options(app, entry, options, default_file);

  // CLI11 wants them backwards, and throws for everything that is not a command.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(std::move(reversed));
    const VerbEntry& entry = *find_parsed(app);  // there is one: it is required
    const CLI::App& verb = *app.get_subcommand(entry.name);
    Command command;
    command.verb = entry.verb;
    command.config_file = file_of(verb, options, default_file);
    command.sets = options.sets;
    command.wants_json = options.wants_json;
    command.images = options.images;
    command.upstreams = options.upstreams;
    command.is_dry_run = options.is_dry_run;
    // What is damaged belongs in no new index.
    command.repairs = options.repairs || options.rebuilds;
    command.rebuilds = options.rebuilds;
    bool needs_images = entry.verb == Verb::pin || entry.verb == Verb::unpin || entry.verb == Verb::purge;
    if (needs_images && command.images.empty() && command.upstreams.empty())
      return {std::nullopt,
              {"entrepot: name an image, or an --upstream\nTry `entrepot --help`.\n", true, kUsage}};
    if (verb.count("--config") > 0 && command.config_file.empty())
      return {std::nullopt, {"entrepot: --config needs a file\n", true, kUsage}};
    return {std::move(command), {}};
  } catch (const CLI::ParseError& error) {
    const VerbEntry* entry = find_parsed(app);
    const CLI::App& asked = entry == nullptr ? app : *app.get_subcommand(entry->name);
    return {std::nullopt, answer_of(asked, error, version)};
  }
}

}  // namespace entrepot::cli
