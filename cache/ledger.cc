#include "cache/ledger.h"

#include <algorithm>

namespace entrepot::cache {
namespace {

constexpr uint64_t kSmallestOverhead = 384u << 10;
constexpr uint64_t kLargestOverhead = 64u << 20;
constexpr uint64_t kLeastForBlobs = 16u << 10;
constexpr uint64_t kStep = 4096;

uint64_t overhead_of(uint64_t max_size) {
  return std::min(max_size, std::clamp(max_size / 64, kSmallestOverhead, kLargestOverhead));
}

}  // namespace

void Ledger::set_max_size(uint64_t max_size) {
  max_size_.store(max_size, std::memory_order_relaxed);
  blob_limit_.store(max_size - overhead_of(max_size), std::memory_order_relaxed);
}

uint64_t Ledger::least_max_size(uint64_t overhead) {
  uint64_t least = overhead + kSmallestOverhead + kLeastForBlobs;
  while (least - overhead_of(least) < overhead + kLeastForBlobs) least += kStep;
  return least;
}

bool Ledger::try_add(uint64_t bytes, uint64_t limit) {
  uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (used > limit || limit - used < bytes) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  return true;
}

}  // namespace entrepot::cache
