#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"

namespace entrepot::cache {

/// Counts the errors that the disk gives, and says whether there are so many that somebody should look: three
/// in a minute, until there was none for a minute. A disk that is full is no error. Any thread; lock-free.
class Trouble {
 public:
  Trouble(const Clock& clock, Metrics& metrics)
      : clock_(clock),
        errors_(metrics.counter("entrepot_cache_disk_errors_total",
                                "Errors of the disk that kept something from being stored")),
        degraded_(metrics.gauge("entrepot_cache_degraded", "1 while the disk gives errors")) {}

  void note(const Error& error) {
    if (error.code != Errc::io_error && error.code != Errc::cache_corrupt) return;
    errors_.add();
    int64_t now = seconds();
    int64_t last = last_.exchange(now, std::memory_order_relaxed);
    // A burst that is over begins anew.
    if (now - last > kWindow) count_.store(0, std::memory_order_relaxed);
    count_.fetch_add(1, std::memory_order_relaxed);
    degraded_.set(is_degraded() ? 1 : 0);
  }

  bool is_degraded() const {
    bool is_recent = seconds() - last_.load(std::memory_order_relaxed) <= kWindow;
    bool is = is_recent && count_.load(std::memory_order_relaxed) >= kMany;
    if (!is_recent) degraded_.set(0);
    return is;
  }

 private:
  static constexpr int64_t kWindow = 60;
  static constexpr int kMany = 3;

  int64_t seconds() const {
    return std::chrono::duration_cast<std::chrono::seconds>(clock_.monotonic().time_since_epoch()).count();
  }

  const Clock& clock_;
  Counter errors_;
  mutable Gauge degraded_;
  std::atomic<int64_t> last_{-kWindow - 1};
  std::atomic<int> count_{0};
};

}  // namespace entrepot::cache
