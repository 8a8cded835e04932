#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// HTTP/1.1 messages as the handlers see them (RFC 9110, RFC 9112).

namespace entrepot::http {

enum class Method { get, head, post, put, patch, del, options, other };

/// A request whose head has arrived whole and was accepted. Belongs to its connection; good until the
/// response is finished.
struct Request {
  Method method = Method::get;
  std::string method_name;                                   // as sent; for logs and `other`
  std::string target;                                        // origin-form, as sent: begins with '/'
  std::string_view path;                                     // of target, before '?', not decoded
  std::string_view query;                                    // after '?', not decoded
  std::vector<std::pair<std::string, std::string>> headers;  // names as sent
  int minor_version = 1;                                     // HTTP/1.x
  bool wants_keep_alive = true;
  bool has_body = false;        // Content-Length > 0 or Transfer-Encoding
  uint64_t content_length = 0;  // 0: none, or the body comes in chunks
  // Of listeners that read it, and good until `handle` returns; else it is not read, and the connection will
  // close.
  std::string_view body;
  std::string peer;  // "127.0.0.1:40312", "unix"
  uint64_t id = 0;   // of this request, for the log

  /// The first field of that name (case-insensitive), or nullptr.
  const std::string* header(std::string_view name) const;
};

/// Status and fields of an answer. Content-Length, Date and Connection are the connection's business.
struct Head {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;

  Head() = default;
  explicit Head(int code) : status(code) {}
  Head& add(std::string name, std::string value) {
    headers.emplace_back(std::move(name), std::move(value));
    return *this;
  }
};

std::string_view reason_phrase(int status);

}  // namespace entrepot::http
