#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace entrepot::upstream {

/// Which bytes of a blob are asked for: [from, until), or from there to the end. A value.
struct ByteSpan {
  uint64_t from = 0;
  std::optional<uint64_t> until;

  /// Everything: asked for without a Range.
  bool is_whole() const { return from == 0 && !until; }
  /// The value of a Range field (RFC 9110 section 14.2).
  std::string range() const {
    return "bytes=" + std::to_string(from) + "-" + (until ? std::to_string(*until - 1) : std::string());
  }
};

}  // namespace entrepot::upstream
