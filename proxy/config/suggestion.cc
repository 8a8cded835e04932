#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "proxy/config/key.h"

namespace entrepot::config {
namespace {

// Levenshtein, and two letters that changed places count as one slip ("optimal string alignment").
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> older;  // the row before the one before
  std::vector<size_t> before(b.size() + 1);
  std::iota(before.begin(), before.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    std::vector<size_t> row(b.size() + 1, i);
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = before[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, before[j] + 1, row[j - 1] + 1});
      bool is_swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (is_swapped) row[j] = std::min(row[j], older[j - 2] + 1);
    }
    older = std::exchange(before, std::move(row));
  }
  return before.back();
}

}  // namespace

std::string suggestion(std::string_view unknown, std::span<const std::string> known) {
  constexpr size_t kLongest = 128;  // the work grows with the product of the lengths
  if (unknown.size() > kLongest) return "";
  const std::string* best = nullptr;
  size_t best_distance = 0;
  for (const std::string& candidate : known) {
    size_t now = distance(unknown, candidate);
    if (best != nullptr && now >= best_distance) continue;
    best = &candidate;
    best_distance = now;
  }
  if (best == nullptr || best_distance > std::max<size_t>(1, unknown.size() / 3)) return "";
  return " (did you mean " + *best + "?)";
}

}  // namespace entrepot::config
