#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/http/head_scanner.h"
#include "proxy/http/message.h"

namespace entrepot::http {

/// Strings of finished requests, kept so that the next one need not allocate. One per loop, shared by its
/// connections.
class FieldPool {
 public:
  using Field = std::pair<std::string, std::string>;

  /// Empties `fields` into the pool.
  void take_back(std::vector<Field>& fields);
  /// Appends an empty field that may have room already.
  Field& add_to(std::vector<Field>& fields);

 private:
  std::vector<Field> spare_;
};

/// Requests out of a client's bytes. Two readers must agree: our own scanner, which finds the end of the head
/// and is strict about its bytes, and then llhttp, with every lenient flag off, which takes the complete head
/// apart; the rules about fields come last. So no handler sees a request before all three accepted it. The
/// body is not read. One per connection; its loop's thread.
class Parser {
 public:
  enum class Verdict { need_more, complete, failed };

  explicit Parser(FieldPool& pool) : pool_(pool) {}

  /// `bytes`: all that was received and not consumed; each call sees the same bytes and more. Complete:
  /// `request` is filled (all but `peer` and `id`) and `consumed()` bytes were its head. Failed: see
  /// `refusal()`; nothing may be parsed after it.
  Verdict parse(std::string_view bytes, Request& request);
  size_t consumed() const { return scanner_.head_end(); }
  const Refusal& refusal() const { return refusal_; }
  /// For the next request on the connection.
  void reset() { scanner_.reset(); }
  /// The first byte of a request line was seen.
  bool has_begun() const { return scanner_.has_begun(); }

 private:
  FieldPool& pool_;
  HeadScanner scanner_;
  Refusal refusal_;
};

}  // namespace entrepot::http
