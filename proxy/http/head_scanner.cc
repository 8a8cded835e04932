#include "proxy/http/head_scanner.h"

#include <algorithm>

#include "proxy/http/request_rules.h"

namespace entrepot::http {
namespace {

bool is_method_char(char c) { return (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; }
bool is_target_char(char c) { return c > ' ' && c < 0x7f; }
bool is_value_char(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr std::string_view kVersionPrefix = "HTTP/";
constexpr size_t kVersionBytes = 8;

}  // namespace

HeadScanner::Verdict HeadScanner::scan(std::string_view bytes) {
  while (at_ < bytes.size() && state_ < State::complete) {
    if (has_begun() && at_ - begin_ >= kMaxHeadBytes) {
      refuse(431, "the request's head is larger than 64 KiB");
      break;
    }
    step(bytes, bytes[at_]);
    if (state_ == State::failed) break;
    ++at_;
    skip_ordinary(bytes);
  }
  if (state_ == State::complete) return Verdict::complete;
  return state_ == State::failed ? Verdict::failed : Verdict::need_more;
}

// Nearly all of a head: bytes that change no state. Only a short cut.
void HeadScanner::skip_ordinary(std::string_view bytes) {
  size_t end = std::min(bytes.size(), begin_ + kMaxHeadBytes);
  if (state_ == State::value) {
    while (at_ < end && is_value_char(bytes[at_])) ++at_;
  } else if (state_ == State::name) {
    while (at_ < end && is_token_char(bytes[at_])) ++at_;
  } else if (state_ == State::target) {
    end = std::min(end, token_ + kMaxTargetBytes);
    while (at_ < end && is_target_char(bytes[at_]) && bytes[at_] != '#') ++at_;
  }
}

void HeadScanner::step(std::string_view bytes, char c) {
  switch (state_) {
    case State::empty_lines:
      if (c == '\r') {
        if (at_ >= kMaxLeadingBytes) return refuse(400, "too many empty lines before the request");
        state_ = State::empty_line_lf;
      } else if (is_method_char(c)) {
        begin_ = token_ = at_;
        state_ = State::method;
      } else {
        refuse(400, "the request does not begin with a method");
      }
      return;
    case State::empty_line_lf:
      if (c != '\n') return refuse(400, "a CR without its LF");
      state_ = State::empty_lines;
      return;
    case State::method:
    case State::target:
    case State::version:
    case State::request_line_lf:
      return step_request_line(bytes, c);
    default:
      return step_fields(c);
  }
}

void HeadScanner::step_request_line(std::string_view bytes, char c) {
  switch (state_) {
    case State::method:
      if (c == ' ') {
        is_connect_ = bytes.substr(token_, at_ - token_) == "CONNECT";
        token_ = at_ + 1;
        state_ = State::target;
      } else if (!is_method_char(c) || at_ - token_ >= kMaxMethodBytes) {
        refuse(400, "not a valid method");
      }
      return;
    case State::target:
      if (c == ' ') return end_target(bytes);
      if (c == '#') return refuse(400, "a fragment in the request target");
      if (!is_target_char(c)) return refuse(400, "not a valid request line");
      if (at_ - token_ >= kMaxTargetBytes) refuse(414, "the request target is longer than 8 KiB");
      return;
    case State::version:
      if (c == '\r') {
        state_ = State::request_line_lf;
      } else if (!is_target_char(c) || at_ - token_ >= kVersionBytes) {
        refuse(400, "not a valid HTTP version");
      }
      return;
    default:
      if (c != '\n') return refuse(400, "a CR without its LF");
      return end_request_line(bytes);
  }
}

void HeadScanner::end_target(std::string_view bytes) {
  std::string_view method = bytes.substr(begin_, token_ - 1 - begin_);
  std::string_view target = bytes.substr(token_, at_ - token_);
  is_asterisk_ = target == "*" && method == "OPTIONS";
  if (!target.starts_with('/') && !is_asterisk_ && !is_connect_)
    return refuse(400, "the request target is not a path");
  token_ = at_ + 1;
  state_ = State::version;
}

void HeadScanner::end_request_line(std::string_view bytes) {
  std::string_view version = bytes.substr(token_, at_ - 1 - token_);
  bool is_version = version.size() == kVersionBytes && version.starts_with(kVersionPrefix) &&
                    is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
  if (!is_version || version[5] == '0') return refuse(400, "not a valid HTTP version");
  if (version[5] != '1' || version[7] > '1') return refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  if (is_connect_) return refuse(405, "this is no tunnel");
  if (is_asterisk_) return refuse(405, "OPTIONS * is not supported");
  state_ = State::line_start;
}

void HeadScanner::step_fields(char c) {
  switch (state_) {
    case State::line_start:
      if (c == '\r') {
        state_ = State::end_lf;
      } else if (!is_token_char(c)) {
        refuse(400, c == ' ' || c == '\t' ? "a folded header line" : "not a valid header field name");
      } else if (++fields_ > kMaxFields) {
        refuse(431, "more than 100 header fields");
      } else {
        state_ = State::name;
      }
      return;
    case State::name:
      if (c == ':') {
        state_ = State::value;
      } else if (!is_token_char(c)) {
        refuse(400, "not a valid header field name");
      }
      return;
    case State::value:
      if (c == '\r') {
        state_ = State::value_lf;
      } else if (!is_value_char(c)) {
        refuse(400, "a control character in a header field");
      }
      return;
    default:
      if (c != '\n') return refuse(400, "a CR without its LF");
      state_ = state_ == State::end_lf ? State::complete : State::line_start;
      return;
  }
}

void HeadScanner::refuse(int status, const char* message) {
  state_ = State::failed;
  refusal_ = {status, message};
}

}  // namespace entrepot::http
