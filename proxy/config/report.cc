#include "proxy/config/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "proxy/config/syntax.h"

namespace entrepot::config {
namespace {

// A key or a file name is the user's text: it must not forge a second line.
std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return out;
}

constexpr size_t kLongestKey = 300;  // a host name has up to 253 bytes
constexpr size_t kLongestReason = 1000;

std::string cut(std::string text, size_t most) {
  if (text.size() <= most) return text;
  text.resize(most);
  text.resize(valid_utf8(text));
  return text + "…";
}

}  // namespace

void Report::add(const Origin& at, std::string key, std::string reason) {
  errors_.push_back({at.source, at.line, at.column, cut(std::move(key), kLongestKey),
                     cut(std::move(reason), kLongestReason)});
}

std::vector<ConfigError> Report::take() {
  auto place = [](const ConfigError& error) {
    return std::make_tuple(error.line == 0, error.line, error.column);
  };
  std::stable_sort(errors_.begin(), errors_.end(),
                   [&](const ConfigError& a, const ConfigError& b) { return place(a) < place(b); });
  return std::move(errors_);
}

std::string to_text(const ConfigError& error) {
  std::string text = error.source;
  if (error.line != 0) text += fmt::format(":{}:{}", error.line, error.column);
  text += ": ";
  if (!error.key.empty()) text += error.key + ": ";
  return printable(text + error.reason);
}

}  // namespace entrepot::config
