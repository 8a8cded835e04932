#include "base/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <iterator>
#include <thread>

#include "base/mailbox.h"

namespace entrepot {
namespace {

constexpr uint64_t kMaxWaitingLines = 8192;
constexpr size_t kMaxValueLength = 1024;
constexpr std::string_view kLevelNames[] = {"debug", "info", "warn", "error"};

bool is_plain(std::string_view text) {
  if (text.empty()) return false;
  for (char c : text)
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || static_cast<unsigned char>(c) >= 0x7f) return false;
  return true;
}

// What a client sent may hold anything: control characters and bytes above ASCII are escaped, so that a line
// stays a line and a terminal is not spoken to. JSON's escapes are right for both formats.
void append_escaped(std::string& line, std::string_view text) {
  for (char c : text.substr(0, kMaxValueLength)) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      fmt::format_to(std::back_inserter(line), "\\u{:04x}", byte);
    } else {
      line += c;
    }
  }
}

void append_quoted(std::string& line, std::string_view text) {
  line += '"';
  append_escaped(line, text);
  line += '"';
}

std::string timestamp() {
  auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  auto milliseconds = now.time_since_epoch().count() % 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)),
                     milliseconds);
}

std::string text_line(LogLevel level, std::string_view message, std::span<const LogField> fields) {
  std::string line = timestamp();
  fmt::format_to(std::back_inserter(line), " {:5} ", kLevelNames[static_cast<size_t>(level)]);
  append_escaped(line, message);
  for (const LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    if (const auto* number = std::get_if<int64_t>(&field.value)) {
      line += std::to_string(*number);
    } else {
      std::string_view text = std::get<std::string_view>(field.value);
      if (is_plain(text) && text.size() <= kMaxValueLength)
        line += text;
      else
        append_quoted(line, text);
    }
  }
  line += '\n';
  return line;
}

std::string json_line(LogLevel level, std::string_view message, std::span<const LogField> fields) {
  std::string line = "{\"time\":\"" + timestamp() + "\",\"level\":\"";
  line += kLevelNames[static_cast<size_t>(level)];
  line += "\",\"message\":";
  append_quoted(line, message);
  for (const LogField& field : fields) {
    line += ',';
    append_quoted(line, field.key);
    line += ':';
    if (const auto* number = std::get_if<int64_t>(&field.value))
      line += std::to_string(*number);
    else
      append_quoted(line, std::get<std::string_view>(field.value));
  }
  line += "}\n";
  return line;
}

}  // namespace

class Logger::Writer {
 public:
  explicit Writer(int fd) : fd_(fd), thread_([this] { run(); }) {}

  ~Writer() {
    stopping_ = true;
    wake();
    thread_.join();
  }

  void post(std::string line) {
    if (waiting_.fetch_add(1) >= kMaxWaitingLines) {
      waiting_.fetch_sub(1);
      dropped_.fetch_add(1);
      return;
    }
    if (lines_.post(std::move(line))) wake();
  }

  uint64_t dropped() const { return dropped_; }

 private:
  void wake() {
    posted_.fetch_add(1);
    posted_.notify_one();
  }

  void run() {
    while (true) {
      uint32_t seen = posted_.load();
      std::string batch;
      size_t count = lines_.drain([&batch](std::string&& line) { batch += line; });
      if (count > 0) {
        write_all(batch);
        waiting_.fetch_sub(count);
      } else if (stopping_) {
        return;
      } else {
        posted_.wait(seen);
      }
    }
  }

  void write_all(std::string_view text) {
    while (!text.empty()) {
      ssize_t written = ::write(fd_, text.data(), text.size());
      if (written > 0) {
        text.remove_prefix(static_cast<size_t>(written));
      } else if (errno == EAGAIN) {
        // A sink that never drains must not keep the process from stopping.
        pollfd wait{fd_, POLLOUT, 0};
        if (::poll(&wait, 1, 1000) == 0 && stopping_) return;
      } else if (errno != EINTR) {
        return;
      }
    }
  }

  int fd_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint32_t> posted_{0};
  std::atomic<uint64_t> waiting_{0};
  std::atomic<uint64_t> dropped_{0};
  Mailbox<std::string> lines_;
  std::thread thread_;
};

Logger::Logger(Options options)
    : level_(options.level), format_(options.format), writer_(std::make_unique<Writer>(options.fd)) {}

Logger::~Logger() = default;

void Logger::write(LogLevel level, std::string_view message, std::span<const LogField> fields) {
  if (!is_on(level)) return;
  writer_->post(format_ == LogFormat::json ? json_line(level, message, fields)
                                           : text_line(level, message, fields));
}

uint64_t Logger::dropped() const { return writer_->dropped(); }

}  // namespace entrepot
