#pragma once

#include <unistd.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "proxy/config/config.h"

namespace entrepot::config::testing {

using Environment = std::map<std::string, std::string, std::less<>>;

/// A file that goes with the test.
class TestFile {
 public:
  explicit TestFile(const std::string& text) : path_("/tmp/entrepot-config-XXXXXX") {
    int fd = mkstemp(path_.data());
    std::ofstream(path_, std::ios::binary) << text;
    close(fd);
  }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;
  ~TestFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline Inputs plain_inputs() {
  Inputs inputs;
  inputs.environment = {{"HOME", "/home/me"}};
  inputs.working_directory = "/srv";
  return inputs;
}

struct Loaded {
  Config config;
  std::vector<std::string> errors;  // "3:12: cache.max_size: …" from the file, else "--set …: …"

  bool is_good() const { return errors.empty(); }
  /// The only error; the whole list where there are others, so that a failing test shows it.
  std::string error() const {
    std::string all;
    for (const std::string& error : errors) all += (all.empty() ? "" : "\n") + error;
    return all;
  }
  const upstream::Settings* find(std::string_view name) const {
    for (const upstream::Settings& settings : config.upstreams)
      if (settings.name == name) return &settings;
    return nullptr;
  }
};

inline Loaded load_inputs(const Inputs& inputs) {
  tl::expected<Config, std::vector<ConfigError>> result = load(inputs);
  if (result) return {std::move(*result), {}};
  Loaded loaded;
  for (const ConfigError& error : result.error()) {
    std::string text = to_text(error);
    bool is_of_file = !inputs.file.empty() && text.starts_with(inputs.file);
    loaded.errors.push_back(is_of_file ? text.substr(inputs.file.size() + 1) : text);
  }
  return loaded;
}

inline Loaded load_text(const std::string& text, const Environment& environment = {},
                        std::vector<std::string> sets = {}) {
  TestFile file(text);
  Inputs inputs = plain_inputs();
  inputs.file = file.path();
  inputs.sets = std::move(sets);
  for (const auto& [name, value] : environment) inputs.environment[name] = value;
  return load_inputs(inputs);
}

inline Loaded load_sets(std::vector<std::string> sets) { return load_text("", {}, std::move(sets)); }

}  // namespace entrepot::config::testing
