#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace entrepot::upstream {

/// Leaves a host alone that does not answer, so that only a few requests wait for it in vain and all others
/// know at once. Shared by all loops; atomics alone, nobody blocks.
///
///     closed --kFailures in a row, no answer among them--> open for 1 s
///     open   --the time is over--> one request goes through, the others fail until it has come back
///            --it was answered--> closed            --it was not--> open, for twice as long, at most 30 s
///
/// An answer is any response head, a 503 too: it costs nobody time. What counts as none is a connection that
/// does not come about and a head that does not come in time.
class Breaker {
 public:
  static constexpr int kFailures = 5;
  static constexpr Duration kFirstPause{1'000};
  static constexpr Duration kLongestPause{30'000};

  /// How long a request that went through may take before another one does.
  explicit Breaker(Duration patience) : patience_(patience) {}

  /// What a request may do. Who goes calls `note` when it is known whether he was answered.
  struct Leave {
    bool may_go = true;
    bool is_probe = false;  // it is open, and this one tries
    Duration pause{};       // who may not go: for so long
  };
  Leave ask(MonotonicTime now);
  /// True when this has opened it, or closed it.
  bool note(bool is_answered, const Leave& leave, MonotonicTime now);
  /// It is not known, and will not be.
  void forgo(const Leave& leave, MonotonicTime now) {
    if (leave.is_probe) open_until_.store(ticks(now), std::memory_order_relaxed);
  }
  bool is_open() const { return open_until_.load(std::memory_order_relaxed) != 0; }

 private:
  static int64_t ticks(MonotonicTime time) { return time.time_since_epoch().count(); }

  const Duration patience_;
  std::atomic<int> failures_{0};        // in a row
  std::atomic<int> probes_{0};          // that were not answered, since it opened
  std::atomic<int64_t> open_until_{0};  // 0 = closed
};

}  // namespace entrepot::upstream
