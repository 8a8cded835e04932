#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace entrepot::registry {

/// Bytes [begin, end) of a blob.
struct ByteRange {
  uint64_t begin = 0;
  uint64_t end = 0;
};

/// One range of RFC 9110 section 14: "bytes=0-9", "bytes=5-", "bytes=-3", clamped to `size`. nullopt: answer
/// with the whole blob (no range, another unit, malformed, or more than one range). range_invalid: nothing of
/// it lies inside.
Result<std::optional<ByteRange>> read_range(std::string_view header, uint64_t size);

}  // namespace entrepot::registry
