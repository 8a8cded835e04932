#include "cache/extents.h"

#include <algorithm>
#include <iterator>

namespace entrepot::cache {

void Extents::add(Extent extent) {
  if (extent.begin >= extent.end) return;
  auto next = ends_.upper_bound(extent.begin);
  if (next != ends_.begin()) {
    auto before = std::prev(next);
    if (before->second >= extent.begin) next = before;
  }
  while (next != ends_.end() && next->first <= extent.end) {
    extent.begin = std::min(extent.begin, next->first);
    extent.end = std::max(extent.end, next->second);
    total_ -= next->second - next->first;
    next = ends_.erase(next);
  }
  ends_.emplace(extent.begin, extent.end);
  total_ += extent.size();
}

Extent Extents::readable_at(uint64_t at) const {
  auto next = ends_.upper_bound(at);
  if (next == ends_.begin()) return {at, at};
  auto holder = std::prev(next);
  return {at, std::max(at, holder->second)};
}

uint64_t Extents::next_begin(uint64_t at) const {
  auto next = ends_.upper_bound(at);
  return next == ends_.end() ? UINT64_MAX : next->first;
}

std::vector<Extent> Extents::all() const {
  std::vector<Extent> all;
  all.reserve(ends_.size());
  for (auto [begin, end] : ends_) all.push_back({begin, end});
  return all;
}

}  // namespace entrepot::cache
