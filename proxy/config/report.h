#pragma once

#include <string>
#include <utility>
#include <vector>

#include "proxy/config/config.h"

namespace entrepot::config {

/// Where a value was given.
struct Origin {
  std::string source = "default";
  uint32_t line = 0;
  uint32_t column = 0;
};

/// Collects everything that is wrong while load() runs, so that one start shows all of it.
class Report {
 public:
  /// A key or a reason that would fill the screen is cut short: they quote what the user wrote.
  void add(const Origin& at, std::string key, std::string reason);
  bool is_empty() const { return errors_.empty(); }
  /// What a file holds in the order of its lines, before what has no line.
  std::vector<ConfigError> take();

 private:
  std::vector<ConfigError> errors_;
};

}  // namespace entrepot::config
