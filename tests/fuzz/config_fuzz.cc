// A configuration file, and after each US (0x1f) one more --set KEY=VALUE. Nothing may be thrown; what is
// refused has reasons that can be printed; what is accepted is printed as a file that means the same.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/unique_fd.h"
#include "proxy/config/config.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

namespace config = entrepot::config;
using Json = nlohmann::json;

// A file in memory that has a name.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view text) : fd_(memfd_create("entrepot.toml", MFD_CLOEXEC)) {
    CHECK(fd_.get() >= 0);
    CHECK(write(fd_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

 private:
  entrepot::UniqueFd fd_;
};

auto load(std::string_view text, std::vector<std::string> sets) {
  MemoryFile file(text);
  config::Inputs inputs;
  inputs.file = file.path();
  inputs.sets = std::move(sets);
  inputs.environment = {{"HOME", "/home/me"}};
  inputs.working_directory = "/srv";
  return config::load(inputs);
}

void check_errors(const std::vector<config::ConfigError>& errors) {
  CHECK(!errors.empty());
  for (const config::ConfigError& error : errors) {
    CHECK(!error.reason.empty() && !error.source.empty());
    CHECK((error.line == 0) == (error.column == 0));
    CHECK(!entrepot::fuzz::has_control_character(config::to_text(error)));
  }
  Json json = Json::parse(config::to_json(errors), nullptr, false);
  CHECK(json.is_object() && json.at("errors").size() == errors.size());
}

void check_accepted(const config::Config& accepted) {
  CHECK(!accepted.server.listen.empty() && !accepted.upstreams.empty());
  CHECK(accepted.cache.directory.starts_with('/') && accepted.control.listen.is_unix());
  int defaults = 0;
  for (const auto& upstream : accepted.upstreams) {
    CHECK(!upstream.name.empty() && upstream.url.starts_with("http"));
    defaults += upstream.is_default ? 1 : 0;
  }
  CHECK(defaults <= 1);

  std::string printed = config::to_toml(accepted);
  auto again = load(printed, {});
  CHECK(again.has_value());
  CHECK(config::to_toml(*again) == printed);
  CHECK(config::to_json(*again) == config::to_json(accepted));
  CHECK(Json::parse(config::to_json(accepted), nullptr, false).is_object());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  entrepot::fuzz::Input input(data, size);
  std::string_view text = input.until('\x1f');
  std::vector<std::string> sets;
  while (!input.is_at_end()) sets.emplace_back(input.until('\x1f'));
  auto loaded = load(text, std::move(sets));
  if (loaded)
    check_accepted(*loaded);
  else
    check_errors(loaded.error());
  return 0;
}
