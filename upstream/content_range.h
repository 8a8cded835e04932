#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "upstream/byte_span.h"
#include "upstream/response_head.h"

namespace entrepot::upstream {

/// "bytes <first>-<last>/<total>" (RFC 9110 section 14.4), `first` <= `last` < `total`.
struct ContentRange {
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t total = 0;
};

/// nullopt for all else: other units, a total of "*", numbers that do not fit together.
std::optional<ContentRange> parse_content_range(std::string_view text);

/// The whole's size, when a 206 holds exactly what was asked for: one Content-Range from `asked.from` to
/// where it or the whole ends, and no Content-Length that contradicts it. nullopt otherwise.
std::optional<uint64_t> total_of(const ResponseHead& head, const ByteSpan& asked);

}  // namespace entrepot::upstream
