// An upstream's response head, cut into lines as the transport does it. A head that is accepted makes the
// same sense when it is written out anew, and what is read of its fields is within bounds.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "tests/fuzz/fuzz_input.h"
#include "upstream/content_range.h"
#include "upstream/link.h"
#include "upstream/response_head.h"

namespace {

using entrepot::fuzz::Exact;
using entrepot::upstream::HeadParser;
using entrepot::upstream::ResponseHead;
using State = HeadParser::State;

// Gives the parser one line after the other, each with its end, and returns how many it took until it had a
// verdict.
size_t feed(HeadParser& parser, std::string_view bytes) {
  size_t taken = 0;
  while (!bytes.empty() && parser.state() != State::complete && parser.state() != State::bad) {
    Exact line(bytes.substr(0, std::min(bytes.size(), bytes.find('\n') + 1)));
    if (line.view().empty()) line = Exact(bytes);  // the last one, without an end
    CHECK(parser.add_line(line.view()) == parser.state());
    bytes.remove_prefix(line.view().size());
    taken += line.view().size();
  }
  return taken;
}

// Never longer than it came.
std::string written(const ResponseHead& head) {
  std::string text = "HTTP/1.1 " + std::to_string(head.status) + "\r\n";
  for (const auto& [name, value] : head.headers) text += name + ":" + value + "\r\n";
  return text + "\r\n";
}

void check_promises(const ResponseHead& head) {
  CHECK(head.status >= 200 && head.status <= 599 && head.headers.size() <= 256);
  for (const auto& [name, value] : head.headers) {
    CHECK(!name.empty() && entrepot::fuzz::is_lower_case(name) &&
          name.find_first_of(" \t:") == std::string::npos);
    CHECK(!entrepot::fuzz::has_control_character(name + value));
    auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
    CHECK(value.empty() || (!is_blank(value.front()) && !is_blank(value.back())));
    auto all = head.all(name);
    CHECK(std::ranges::find(all, value) != all.end() && head.only(name).has_value() == (all.size() == 1));
  }
  CHECK(head.content_length.has_value() == !head.all("content-length").empty());
  CHECK(!head.content_length || head.all("transfer-encoding").empty());
}

void check_fields(const ResponseHead& head) {
  std::string type = entrepot::upstream::media_type_of(head);
  CHECK(entrepot::fuzz::is_lower_case(type) && type.find(';') == std::string::npos);
  int seconds = entrepot::upstream::retry_after_seconds(head, entrepot::WallTime());
  CHECK(seconds >= 0 && seconds <= 24 * 60 * 60);
  CHECK(!entrepot::upstream::is_encoded(head) || !head.all("content-encoding").empty());
  CHECK(entrepot::upstream::next_query_of(head).empty() || !head.all("link").empty());
  auto total = entrepot::upstream::total_of(head, {0, {}});
  CHECK(!total || (*total > 0 && (!head.content_length || *head.content_length == *total)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = entrepot::fuzz::Input(data, size).rest();
  HeadParser parser;
  size_t taken = feed(parser, bytes);
  CHECK((parser.state() == State::bad) == !parser.problem().empty());
  if (parser.state() == State::bad) CHECK(parser.add_line("HTTP/1.1 200 OK\r\n") == State::bad);
  if (parser.state() != State::complete) return 0;
  // What follows is a trailer, and changes nothing.
  if (taken < bytes.size()) CHECK(parser.add_line(bytes.substr(taken)) == parser.state());
  if (parser.state() != State::complete) return 0;
  ResponseHead head = parser.take();
  check_promises(head);
  check_fields(head);

  HeadParser second;
  std::string text = written(head);
  CHECK(feed(second, text) == text.size() && second.state() == State::complete);
  ResponseHead again = second.take();
  CHECK(again.status == head.status && again.headers == head.headers &&
        again.content_length == head.content_length);
  return 0;
}
