#include "cache/ledger.h"

#include <algorithm>

namespace entrepot::cache {
namespace {

constexpr uint64_t kSmallestOverhead = 384u << 10;
constexpr uint64_t kLargestOverhead = 64u << 20;

uint64_t overhead_of(uint64_t max_size) {
  return std::min(max_size, std::clamp(max_size / 64, kSmallestOverhead, kLargestOverhead));
}

}  // namespace

Ledger::Ledger(uint64_t max_size) : max_size_(max_size), blob_limit_(max_size - overhead_of(max_size)) {}

bool Ledger::try_add(uint64_t bytes, uint64_t limit) {
  uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (used > limit || limit - used < bytes) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  return true;
}

}  // namespace entrepot::cache
