#pragma once

#include <cstdint>
#include <map>

namespace entrepot::cache {

/// Half-open range of bytes, [begin, end).
struct Extent {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t size() const { return end - begin; }
  bool operator==(const Extent&) const = default;
};

/// The readable bytes of a part, as disjoint extents with neighbours merged. Belongs to the fill's home loop.
class Extents {
 public:
  void add(Extent extent);
  /// The extent that starts at `at` and goes on as far as is readable; empty (end == begin) when `at` is not
  /// readable.
  Extent readable_at(uint64_t at) const;
  /// Bytes from 0 without a hole.
  uint64_t prefix() const { return readable_at(0).end; }
  uint64_t total() const { return total_; }

 private:
  std::map<uint64_t, uint64_t> ends_;  // begin → end
  uint64_t total_ = 0;
};

}  // namespace entrepot::cache
