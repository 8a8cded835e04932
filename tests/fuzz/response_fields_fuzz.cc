// The values of an upstream's fields that mean something to us: the field's name in the first line, its value
// behind it. What is understood is written out anew and must be understood as the same.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.h"
#include "tests/fuzz/fuzz_input.h"
#include "upstream/content_range.h"
#include "upstream/link.h"
#include "upstream/response_head.h"

namespace {

using entrepot::upstream::ByteSpan;
using entrepot::upstream::ContentRange;
using entrepot::upstream::ResponseHead;

constexpr uint64_t kMost = 999'999'999'999'999'999;

std::string written(const ContentRange& range) {
  return "bytes " + std::to_string(range.first) + "-" + std::to_string(range.last) + "/" +
         std::to_string(range.total);
}

void check_content_range(std::string_view value) {
  std::optional<ContentRange> range = entrepot::upstream::parse_content_range(value);
  if (!range) return;
  CHECK(range->first <= range->last && range->last < range->total && range->total <= kMost);
  std::optional<ContentRange> again = entrepot::upstream::parse_content_range(written(*range));
  CHECK(again && again->first == range->first && again->last == range->last && again->total == range->total);

  // It answers the question that it was made for, and no other.
  ResponseHead head{206, {{"content-range", std::string(value)}}, range->last + 1 - range->first};
  CHECK(total_of(head, ByteSpan{range->first, range->last + 1}) == range->total);
  CHECK(!total_of(head, ByteSpan{range->first + 1, range->last + 1}));
  bool ends_with_the_whole = range->last + 1 == range->total;
  CHECK(total_of(head, ByteSpan{range->first, {}}).has_value() == ends_with_the_whole);
  CHECK(total_of(head, ByteSpan{range->first, range->last + 2}).has_value() == ends_with_the_whole);
  ++*head.content_length;
  CHECK(!total_of(head, ByteSpan{range->first, range->last + 1}));
  head.content_length.reset();
  head.headers.push_back(head.headers.front());
  CHECK(!total_of(head, ByteSpan{range->first, range->last + 1}));
}

void check_link(std::string_view value) {
  std::string query = entrepot::upstream::next_query_of({200, {{"link", std::string(value)}}, {}});
  CHECK(query.size() <= 2048);
  for (char c : query)
    CHECK(c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '#' && c != '\\');
  if (query.empty()) return;
  // As we give it to our own clients.
  std::string ours = "</v2/a/tags/list?" + query + ">; rel=\"next\"";
  CHECK(entrepot::upstream::next_query_of({200, {{"link", "<x>; rel=\"first\""}, {"link", ours}}, {}}) ==
        query);
}

void check_retry_after(std::string_view value) {
  constexpr int kDay = 24 * 60 * 60;
  ResponseHead head{429, {{"retry-after", std::string(value)}}, {}};
  int early = retry_after_seconds(head, entrepot::WallTime());
  int late = retry_after_seconds(head, entrepot::WallTime(std::chrono::hours(24 * 365 * 50)));
  CHECK(early >= 0 && early <= kDay && late >= 0 && late <= early);
}

void check_types(std::string_view name, std::string_view value) {
  ResponseHead head{200, {{std::string(name), std::string(value)}}, {}};
  std::string type = media_type_of(head);
  CHECK(entrepot::fuzz::is_lower_case(type) && type.find(';') == std::string::npos);
  CHECK(type.empty() || name == "content-type");
  ResponseHead plain{200, {{"content-type", type}}, {}};
  CHECK(media_type_of(plain) == type);
  CHECK(!is_encoded(head) || name == "content-encoding");
  head.headers.push_back(head.headers.front());
  CHECK(media_type_of(head).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  entrepot::fuzz::Input input(data, size);
  std::string_view name = input.line();
  entrepot::fuzz::Exact value(input.rest());
  if (name == "content-range")
    check_content_range(value.view());
  else if (name == "link")
    check_link(value.view());
  else if (name == "retry-after")
    check_retry_after(value.view());
  else
    check_types(name, value.view());
  return 0;
}
