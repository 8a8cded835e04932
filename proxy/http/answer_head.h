#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "proxy/http/limits.h"
#include "proxy/http/message.h"

// The bytes of an answer's head.

namespace entrepot::http {

/// "Date: …\r\n", rendered once a second. One per loop.
class DateLine {
 public:
  explicit DateLine(const Clock& clock) : clock_(clock) {}
  std::string_view text();

 private:
  const Clock& clock_;
  time_t second_ = -1;
  std::string text_;
};

/// How the body's end is told.
enum class BodyFraming { none, length, chunked, until_close };

/// Which framing an answer of that status gets for a client of that version (RFC 9112 section 6.3).
BodyFraming framing_of(int status, int minor_version, std::optional<uint64_t> length);
/// 204 and 304 end with their head.
bool status_has_body(int status);

enum class ConnectionLine { none, close, keep_alive };

/// Status line, fields and framing, without Date, Connection and the final empty line. Fields that are the
/// connection's business are left out, as are those with a control character, which would end up as lines of
/// their own.
void append_head(std::string& out, const Head& head, BodyFraming framing, std::optional<uint64_t> length);
/// Date, Connection and the final empty line.
void append_head_end(std::string& out, DateLine& date, ConnectionLine connection);

/// The whole answer to a request that was refused: OCI JSON, to a HEAD without the body. The connection
/// closes.
void append_refusal(std::string& out, const Refusal& refusal, DateLine& date, bool is_head);

}  // namespace entrepot::http
