// The request parser on any bytes. The first two bytes say how the rest is split; what comes out must be the
// same whole, split at one place, in random steps, byte by byte and on a connection that has had a request
// before; and what is accepted must keep the promises that handlers build on.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "proxy/http/parser.h"
#include "proxy/http/request_rules.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using entrepot::http::FieldPool;
using entrepot::http::Method;
using entrepot::http::Parser;
using entrepot::http::Request;

struct Seen {
  Parser::Verdict verdict = Parser::Verdict::need_more;
  int status = 0;
  size_t given = 0;  // so many bytes were there at the verdict
  size_t consumed = 0;
  Request request;
};

// `next_end` says up to where the bytes have come, given how far they had come before.
template <class NextEnd>
void feed(Parser& parser, std::string_view bytes, NextEnd next_end, Seen& seen) {
  while (true) {
    seen.given = std::min(bytes.size(), next_end(seen.given));
    entrepot::fuzz::Exact received(bytes.substr(0, seen.given));
    seen.verdict = parser.parse(received.view(), seen.request);
    if (seen.verdict != Parser::Verdict::need_more || seen.given == bytes.size()) break;
  }
  if (seen.verdict == Parser::Verdict::failed) seen.status = parser.refusal().status;
  if (seen.verdict == Parser::Verdict::complete) seen.consumed = parser.consumed();
}

template <class NextEnd>
Seen feed(std::string_view bytes, NextEnd next_end) {
  FieldPool pool;
  Parser parser(pool);
  Seen seen;
  feed(parser, bytes, next_end, seen);
  return seen;
}

// As a connection does it: one parser, and one request whose strings are used again.
Seen feed_after_another(std::string_view bytes) {
  constexpr std::string_view kFirst =
      "HEAD /v2/library/alpine/manifests/latest?ns=docker.io HTTP/1.0\r\nHost: r.test\r\nRange: bytes=0-\r\n"
      "Content-Length: 7\r\nX-Long: a value that is longer than most of those that follow it\r\n\r\n";
  FieldPool pool;
  Parser parser(pool);
  Seen seen;
  auto all = [](size_t) { return SIZE_MAX; };
  feed(parser, kFirst, all, seen);
  parser.reset();
  seen = Seen{.request = std::move(seen.request)};
  feed(parser, bytes, all, seen);
  return seen;
}

void check_same(const Seen& a, const Seen& b) {
  CHECK(a.verdict == b.verdict && a.status == b.status && a.consumed == b.consumed);
  if (a.verdict != Parser::Verdict::complete) return;
  CHECK(a.request.method == b.request.method && a.request.method_name == b.request.method_name);
  CHECK(a.request.target == b.request.target && a.request.path == b.request.path);
  CHECK(a.request.query == b.request.query && a.request.headers == b.request.headers);
  CHECK(a.request.minor_version == b.request.minor_version && a.request.has_body == b.request.has_body);
  CHECK(a.request.wants_keep_alive == b.request.wants_keep_alive);
}

void check_promises(const Seen& seen, size_t size) {
  const Request& request = seen.request;
  CHECK(seen.consumed > 0 && seen.consumed <= size);
  CHECK(request.target.starts_with('/') && request.path.starts_with('/'));
  CHECK(request.target.size() <= entrepot::http::kMaxTargetBytes);
  CHECK(request.headers.size() <= entrepot::http::kMaxFields);
  CHECK(request.minor_version == 0 || request.minor_version == 1);
  for (char c : request.target) CHECK(c > ' ' && c < 0x7f && c != '#');
  for (const auto& [name, value] : request.headers) {
    CHECK(!name.empty() && !entrepot::fuzz::has_control_character(value));
    for (char c : name) CHECK(entrepot::http::is_token_char(c));
  }
  const std::string* host = request.header("Host");
  CHECK(host == nullptr ? request.minor_version == 0 : entrepot::http::is_valid_host(*host));
  CHECK(!request.has_body || (request.method != Method::get && request.method != Method::head));
  CHECK(request.path.size() + request.query.size() <= request.target.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  entrepot::fuzz::Input input(data, size);
  size_t step = 1 + input.byte() % 64u;
  uint32_t seed = input.byte();
  std::string_view bytes = input.rest();

  Seen whole = feed(bytes, [](size_t) { return SIZE_MAX; });
  size_t place = bytes.empty() ? 0 : (step * 256 + seed) % bytes.size();
  check_same(whole, feed(bytes, [&](size_t before) { return before < place ? place : SIZE_MAX; }));
  check_same(whole, feed(bytes, [&](size_t before) {
               seed = seed * 1664525 + 1013904223;
               return before + 1 + (seed >> 16) % step;
             }));
  Seen slow = feed(bytes, [](size_t before) { return before + 1; });
  check_same(whole, slow);
  check_same(whole, feed_after_another(bytes));
  if (whole.verdict == Parser::Verdict::complete) {
    CHECK(slow.given == slow.consumed);
    check_promises(whole, bytes.size());
  }
  return 0;
}
