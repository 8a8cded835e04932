#include <algorithm>
#include <numeric>
#include <vector>

#include "proxy/config/key.h"

namespace entrepot::config {
namespace {

// Levenshtein, with one row.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
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
