// The request parser on any bytes. The first two bytes say how the rest is split; the verdict must not depend
// on it, and what is accepted must keep the promises that handlers build on.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "proxy/http/parser.h"
#include "proxy/http/request_rules.h"

namespace {

using entrepot::http::FieldPool;
using entrepot::http::Parser;
using entrepot::http::Request;

struct Seen {
  Parser::Verdict verdict = Parser::Verdict::need_more;
  int status = 0;
  size_t consumed = 0;
  Request request;
};

// `step` bytes more each time, changed by `seed`; 0 = all at once.
Seen feed(std::string_view bytes, size_t step, uint32_t seed) {
  FieldPool pool;
  Parser parser(pool);
  Seen seen;
  size_t end = step == 0 ? bytes.size() : 0;
  while (true) {
    seen.verdict = parser.parse(bytes.substr(0, end), seen.request);
    if (seen.verdict != Parser::Verdict::need_more || end == bytes.size()) break;
    seed = seed * 1664525 + 1013904223;
    end = std::min(bytes.size(), end + 1 + (seed >> 16) % step);
  }
  if (seen.verdict == Parser::Verdict::failed) seen.status = parser.refusal().status;
  if (seen.verdict == Parser::Verdict::complete) seen.consumed = parser.consumed();
  return seen;
}

bool has_control_character(std::string_view text) {
  for (char c : text)
    if ((static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7f) return true;
  return false;
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
    CHECK(!name.empty() && !has_control_character(value));
    for (char c : name) CHECK(entrepot::http::is_token_char(c));
  }
  const std::string* host = request.header("Host");
  CHECK(host == nullptr ? request.minor_version == 0 : entrepot::http::is_valid_host(*host));
  CHECK(!request.has_body ||
        (request.method != entrepot::http::Method::get && request.method != entrepot::http::Method::head));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  Seen whole = feed(bytes, 0, 0);
  Seen split = feed(bytes, 1 + data[0] % 64, data[1]);
  CHECK(whole.verdict == split.verdict && whole.status == split.status && whole.consumed == split.consumed);
  if (whole.verdict == Parser::Verdict::complete) {
    check_promises(whole, bytes.size());
    CHECK(whole.request.target == split.request.target && whole.request.headers == split.request.headers);
  }
  return 0;
}
