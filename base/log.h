#pragma once

#include <fmt/core.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/errc.h"

namespace entrepot {

enum class LogFormat { text, json };

/// One `key=value` of a structured line. The text is copied before `write` returns.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, int64_t> value;
};

/// Writes lines to a descriptor from a thread of its own, so that a slow or blocked sink never holds a loop
/// up: at most 8192 lines wait, what comes then is dropped and counted. Made by main, passed by reference;
/// any thread.
///
/// Secrets never come here: not an Authorization header, not a token, not the query of a redirect's URL.
class Logger {
 public:
  struct Options {
    LogLevel level = LogLevel::info;
    LogFormat format = LogFormat::text;
    int fd = 2;
  };
  explicit Logger(Options options);
  /// Writes what still waits, for at most a second.
  ~Logger();

  bool is_on(LogLevel level) const { return level >= level_; }
  void write(LogLevel level, std::string_view message, std::span<const LogField> fields = {});

  template <class... A>
  void debug(fmt::format_string<A...> format, A&&... arguments) {
    if (is_on(LogLevel::debug)) write(LogLevel::debug, fmt::format(format, std::forward<A>(arguments)...));
  }
  template <class... A>
  void info(fmt::format_string<A...> format, A&&... arguments) {
    if (is_on(LogLevel::info)) write(LogLevel::info, fmt::format(format, std::forward<A>(arguments)...));
  }
  template <class... A>
  void warn(fmt::format_string<A...> format, A&&... arguments) {
    if (is_on(LogLevel::warn)) write(LogLevel::warn, fmt::format(format, std::forward<A>(arguments)...));
  }
  template <class... A>
  void error(fmt::format_string<A...> format, A&&... arguments) {
    write(LogLevel::error, fmt::format(format, std::forward<A>(arguments)...));
  }

  /// Lines that were dropped because the sink did not keep up.
  uint64_t dropped() const;

 private:
  class Writer;
  LogLevel level_;
  LogFormat format_;
  std::unique_ptr<Writer> writer_;
};

}  // namespace entrepot
