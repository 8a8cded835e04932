#include "upstream/response_head.h"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace entrepot::upstream {
namespace {

constexpr size_t kMaxHeadSize = 64 * 1024;
constexpr size_t kMaxHeaders = 100;
constexpr int kMaxInterims = 10;
constexpr int kMaxRetryAfter = 24 * 60 * 60;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), to_lower);
  return result;
}

std::string_view trim(std::string_view text) {
  size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<uint64_t> parse_length(std::string_view text) {
  constexpr size_t kMaxDigits = 18;
  if (text.empty() || text.size() > kMaxDigits || !std::ranges::all_of(text, is_digit)) return std::nullopt;
  uint64_t length = 0;
  std::from_chars(text.data(), text.data() + text.size(), length);
  return length;
}

}  // namespace

std::vector<std::string_view> ResponseHead::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [header, value] : headers)
    if (header == name) values.emplace_back(value);
  return values;
}

std::optional<std::string_view> ResponseHead::only(std::string_view name) const {
  std::vector<std::string_view> values = all(name);
  if (values.size() != 1) return std::nullopt;
  return values.front();
}

std::string media_type_of(const ResponseHead& head) {
  std::optional<std::string_view> value = head.only("content-type");
  if (!value) return {};
  return lower(trim(value->substr(0, value->find(';'))));
}

bool is_encoded(const ResponseHead& head) {
  for (std::string_view value : head.all("content-encoding"))
    if (!value.empty() && lower(value) != "identity") return true;
  return false;
}

int retry_after_seconds(const ResponseHead& head, WallTime now) {
  std::optional<std::string_view> value = head.only("retry-after");
  if (!value || value->empty()) return 0;
  if (std::ranges::all_of(*value, is_digit)) {
    std::optional<uint64_t> seconds = parse_length(*value);
    return seconds && *seconds < kMaxRetryAfter ? static_cast<int>(*seconds) : kMaxRetryAfter;
  }
  std::tm date{};
  const std::string text(*value);
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (end == nullptr || *end != '\0') return 0;
  auto seconds = timegm(&date) - std::chrono::system_clock::to_time_t(now);
  return static_cast<int>(std::clamp<long>(seconds, 0, kMaxRetryAfter));
}

HeadParser::State HeadParser::is_bad(std::string_view problem) {
  problem_ = problem;
  return state_ = State::bad;
}

HeadParser::State HeadParser::add_line(std::string_view line) {
  if (state_ == State::bad) return state_;
  size_ += line.size();
  if (size_ > kMaxHeadSize) return is_bad("the head is larger than 64 KiB");
  if (state_ == State::complete) return state_;
  if (!line.ends_with("\r\n")) return is_bad("a header line without CR LF");
  line.remove_suffix(2);
  auto is_control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; };
  if (std::ranges::any_of(line, is_control)) return is_bad("a control byte in the head");
  if (state_ == State::status_line) return add_status_line(line);
  return line.empty() ? finish() : add_header(line);
}

HeadParser::State HeadParser::add_status_line(std::string_view line) {
  std::string_view version = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(version.size() + 1, line.size()));
  bool is_known = version == "HTTP/1.1" || version == "HTTP/1.0" || version == "HTTP/2";
  if (!is_known || line.size() < 3 || !std::all_of(line.begin(), line.begin() + 3, is_digit) ||
      (line.size() > 3 && line[3] != ' '))
    return is_bad("a status line that is none");
  has_codings_ = version == "HTTP/1.1";
  head_ = ResponseHead();
  std::from_chars(line.data(), line.data() + 3, head_.status);
  if (head_.status < 100 || head_.status > 599) return is_bad("a status outside of 100 to 599");
  return state_ = State::headers;
}

HeadParser::State HeadParser::add_header(std::string_view line) {
  size_t colon = line.find(':');
  if (line.front() == ' ' || line.front() == '\t') return is_bad("a folded header line");
  if (colon == std::string_view::npos || colon == 0) return is_bad("a header line without a name");
  std::string_view name = line.substr(0, colon);
  if (name.find_first_of(" \t") != std::string_view::npos) return is_bad("white space in a header's name");
  if (head_.headers.size() == kMaxHeaders) return is_bad("more than 100 headers");
  head_.headers.emplace_back(lower(name), std::string(trim(line.substr(colon + 1))));
  return state_;
}

HeadParser::State HeadParser::finish() {
  if (head_.status < 200) {
    if (++interims_ > kMaxInterims) return is_bad("more than ten interim responses");
    return state_ = State::status_line;
  }
  for (std::string_view value : head_.all("content-length")) {
    std::optional<uint64_t> length = parse_length(value);
    if (!length || (head_.content_length && head_.content_length != length))
      return is_bad("a Content-Length that makes no sense");
    head_.content_length = length;
  }
  std::vector<std::string_view> codings = head_.all("transfer-encoding");
  if (!codings.empty()) {
    if (codings.size() > 1 || lower(codings.front()) != "chunked" || !has_codings_)
      return is_bad("a Transfer-Encoding other than chunked");
    if (head_.content_length) return is_bad("Content-Length beside Transfer-Encoding");
  }
  return state_ = State::complete;
}

}  // namespace entrepot::upstream
