#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace entrepot::upstream {

/// Status and headers of one final response, checked by HeadParser.
struct ResponseHead {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::optional<uint64_t> content_length;

  /// The values of all headers of that name (lower case), in order.
  std::vector<std::string_view> all(std::string_view name) const;
  /// The value, when there is exactly one.
  std::optional<std::string_view> only(std::string_view name) const;
};

/// Content-Type in lower case and without parameters; "" when it is absent or there are several.
std::string media_type_of(const ResponseHead& head);
/// A Content-Encoding other than identity: bytes that hash to something else than what was asked for.
bool is_encoded(const ResponseHead& head);
/// Retry-After (RFC 9110 section 10.2.3), seconds or a date, at most a day; 0 when there is none that makes
/// sense.
int retry_after_seconds(const ResponseHead& head, WallTime now);

/// Puts a response's head together from its lines, as libcurl gives them for HTTP/2 too ("HTTP/2 200"),
/// stricter than libcurl: a line must end in CR LF and hold no NUL and no obs-fold; one Content-Length value,
/// not beside a Transfer-Encoding; Transfer-Encoding is `chunked` on HTTP/1.1. At most 64 KiB, 100 headers
/// and ten interim (1xx) responses, which are dropped.
///
///     status_line --"HTTP/… ddd"--> headers --empty line--> complete (status ≥ 200) | status_line (1xx)
///     any --bad line--> bad
class HeadParser {
 public:
  enum class State { status_line, headers, complete, bad };

  /// Takes one line with its line end. Lines after `complete` are trailers: counted, then dropped.
  State add_line(std::string_view line);
  State state() const { return state_; }
  /// Why it is bad: static text.
  std::string_view problem() const { return problem_; }
  /// REQUIRES: complete; once.
  ResponseHead take() { return std::move(head_); }

 private:
  State is_bad(std::string_view problem);
  State add_status_line(std::string_view line);
  State add_header(std::string_view line);
  State finish();

  State state_ = State::status_line;
  std::string_view problem_;
  ResponseHead head_;
  size_t size_ = 0;
  int interims_ = 0;
  bool has_codings_ = false;  // of transfer: HTTP/1.1 alone has them
};

}  // namespace entrepot::upstream
