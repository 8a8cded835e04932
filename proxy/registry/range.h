#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace entrepot::registry {

/// Bytes [begin, end) of a blob.
struct ByteRange {
  uint64_t begin = 0;
  uint64_t end = 0;
};
/// The end of a blob whose size nobody knows.
constexpr uint64_t kToTheEnd = UINT64_MAX;
/// So many ranges may be asked for at once: what zstd:chunked clients do.
constexpr size_t kMaxRanges = 1024;

/// The ranges of RFC 9110 section 14.2 in the order asked for, clamped to `size`: "bytes=0-9", "bytes=5-",
/// "bytes=-3,0-0". Those that lie outside are left out. Empty: answer with the whole blob (another unit,
/// malformed, or ranges that overlap so much that the whole is shorter). range_invalid: nothing of it lies
/// inside. bad_request: more than kMaxRanges.
Result<std::vector<ByteRange>> read_ranges(std::string_view header, uint64_t size);

}  // namespace entrepot::registry
