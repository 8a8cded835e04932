#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "proxy/config/config.h"
#include "proxy/config/draft.h"

namespace entrepot::config {

tl::expected<Config, std::vector<ConfigError>> load(const Inputs& inputs) {
  Report report;
  Draft draft = Draft::with_builtins();
  bool is_whole = inputs.file.empty() || apply_file(draft, inputs.file, report);
  apply_environment(draft, inputs.environment, report);
  apply_sets(draft, inputs.sets, report);
  // What is missing from a file that is not TOML would look like a contradiction.
  if (!is_whole) return tl::unexpected(report.take());
  Config config = finish(std::move(draft), inputs, report);
  if (!report.is_empty()) return tl::unexpected(report.take());
  return config;
}

Inputs process_inputs(std::string file, std::vector<std::string> sets) {
  Inputs inputs;
  inputs.file = std::move(file);
  inputs.sets = std::move(sets);
  inputs.is_root = geteuid() == 0;
  std::error_code error;
  inputs.working_directory = std::filesystem::current_path(error).string();
  if (error) inputs.working_directory = "/";
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    std::string_view text = *entry;
    size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view name = text.substr(0, equals);
    bool is_wanted = name.starts_with("ENTREPOT_") || name == "STATE_DIRECTORY" || name == "XDG_CACHE_HOME" ||
                     name == "HOME";
    if (is_wanted) inputs.environment.emplace(name, text.substr(equals + 1));
  }
  return inputs;
}

}  // namespace entrepot::config
