#include "upstream/breaker.h"

#include <algorithm>

namespace entrepot::upstream {
namespace {

constexpr int kMostDoublings = 8;

}  // namespace

Breaker::Leave Breaker::ask(MonotonicTime now) {
  int64_t until = open_until_.load(std::memory_order_relaxed);
  if (until == 0) return {};
  // The one who moves the end goes; should he never come back, the next one goes after that.
  bool is_over = ticks(now) >= until;
  if (is_over && open_until_.compare_exchange_strong(until, ticks(now + patience_)))
    return {.may_go = true, .is_probe = true, .pause = {}};
  auto left = MonotonicTime::duration(std::max<int64_t>(until - ticks(now), 0));
  Duration pause = std::clamp(std::chrono::ceil<Duration>(left), Duration(1), kLongestPause);
  return {.may_go = false, .is_probe = false, .pause = pause};
}

bool Breaker::note(bool is_answered, const Leave& leave, MonotonicTime now) {
  if (is_answered) {
    failures_.store(0, std::memory_order_relaxed);
    probes_.store(0, std::memory_order_relaxed);
    return open_until_.load(std::memory_order_relaxed) != 0 &&
           open_until_.exchange(0, std::memory_order_relaxed) != 0;
  }
  // Those that were on their way when it opened say nothing new.
  if (is_open() && !leave.is_probe) return false;
  if (!leave.is_probe && failures_.fetch_add(1, std::memory_order_relaxed) + 1 < kFailures) return false;
  int probes = leave.is_probe ? probes_.fetch_add(1, std::memory_order_relaxed) + 1 : 0;
  Duration pause = std::min(kFirstPause * (1 << std::min(probes, kMostDoublings)), kLongestPause);
  return open_until_.exchange(ticks(now + pause), std::memory_order_relaxed) == 0;
}

}  // namespace entrepot::upstream
