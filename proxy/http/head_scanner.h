#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/http/limits.h"

namespace entrepot::http {

/// The gate before the parser: goes over the bytes of a request's head one by one, finds its end, and refuses
/// what RFC 9112 forbids or leaves open and what llhttp lets pass: bare CR and LF, folded lines, odd
/// versions, targets that are not in origin-form, heads that are too big. The verdict does not depend on how
/// the bytes were split. A value inside its Parser; any thread.
///
///     empty_lines ⇄ empty_line_lf
///     empty_lines → method → target → version → request_line_lf → line_start
///     line_start → name → value → value_lf → line_start
///     line_start → end_lf → (complete)
class HeadScanner {
 public:
  enum class Verdict { need_more, complete, failed };

  /// `bytes`: all that was received since the end of the last request; each call sees the same bytes and
  /// more.
  Verdict scan(std::string_view bytes);
  /// For the next request.
  void reset() { *this = HeadScanner(); }

  /// The first byte of the request line was seen.
  bool has_begun() const { return state_ > State::empty_line_lf; }
  /// Once complete: the head is bytes [begin, end).
  size_t head_begin() const { return begin_; }
  size_t head_end() const { return at_; }
  /// Once failed.
  const Refusal& refusal() const { return refusal_; }

 private:
  enum class State : uint8_t {
    empty_lines,
    empty_line_lf,
    method,
    target,
    version,
    request_line_lf,
    line_start,
    name,
    value,
    value_lf,
    end_lf,
    complete,
    failed,
  };

  void skip_ordinary(std::string_view bytes);
  void step(std::string_view bytes, char c);
  void step_request_line(std::string_view bytes, char c);
  void step_fields(char c);
  void end_target(std::string_view bytes);
  void end_request_line(std::string_view bytes);
  void refuse(int status, const char* message);

  State state_ = State::empty_lines;
  size_t at_ = 0;     // the next byte to look at
  size_t begin_ = 0;  // of the request line
  size_t token_ = 0;  // where the part of the request line began
  size_t fields_ = 0;
  bool is_connect_ = false;
  bool is_asterisk_ = false;
  Refusal refusal_;
};

}  // namespace entrepot::http
