// The Range field: the blob's size in the first line, the field's value behind it. What is answered lies
// inside the blob, costs no more than the blob, and is what the same ranges mean when they are written in
// full.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "proxy/registry/range.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using entrepot::Errc;
using entrepot::registry::ByteRange;
using entrepot::registry::kMaxRanges;
using entrepot::registry::read_ranges;

std::string written(const std::vector<ByteRange>& ranges) {
  std::string text = "Bytes=";
  for (const ByteRange& range : ranges)
    text += " \t," + std::to_string(range.begin) + '-' + std::to_string(range.end - 1);
  return text;
}

void check_inside(const std::vector<ByteRange>& ranges, uint64_t size) {
  CHECK(ranges.size() <= kMaxRanges);
  uint64_t left = size;
  for (const ByteRange& range : ranges) {
    CHECK(range.begin < range.end && range.end <= size);
    CHECK(range.end - range.begin <= left);
    left -= range.end - range.begin;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  entrepot::fuzz::Input input(data, size);
  uint64_t blob_size = entrepot::fuzz::number_in(input.line(), INT64_MAX);
  auto ranges = read_ranges(input.rest(), blob_size);
  if (!ranges) {
    CHECK(ranges.error().code == Errc::range_invalid || ranges.error().code == Errc::bad_request);
    CHECK(!ranges.error().message.empty());
    return 0;
  }
  check_inside(*ranges, blob_size);
  if (ranges->empty()) return 0;
  auto again = read_ranges(written(*ranges), blob_size);
  CHECK(again && again->size() == ranges->size());
  for (size_t i = 0; i < ranges->size(); ++i)
    CHECK((*again)[i].begin == (*ranges)[i].begin && (*again)[i].end == (*ranges)[i].end);
  return 0;
}
