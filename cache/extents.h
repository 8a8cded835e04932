#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace entrepot::cache {

/// Half-open range of bytes, [begin, end).
struct Extent {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t size() const { return end - begin; }
  bool operator==(const Extent&) const = default;
};

/// Bytes of a part, as disjoint extents with neighbours merged: those that are readable, or written, or on
/// their way. Belongs to one thread.
class Extents {
 public:
  void add(Extent extent);
  /// The extent that starts at `at` and goes on as far as is readable; empty (end == begin) when `at` is not
  /// readable.
  Extent readable_at(uint64_t at) const;
  /// Where the first extent behind `at` begins; UINT64_MAX when there is none.
  uint64_t next_begin(uint64_t at) const;
  /// Bytes from 0 without a hole.
  uint64_t prefix() const { return readable_at(0).end; }
  uint64_t total() const { return total_; }
  /// Where the last one ends; 0 when there is none.
  uint64_t end() const { return ends_.empty() ? 0 : ends_.rbegin()->second; }
  std::vector<Extent> all() const;

 private:
  std::map<uint64_t, uint64_t> ends_;  // begin → end
  uint64_t total_ = 0;
};

}  // namespace entrepot::cache
