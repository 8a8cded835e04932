#pragma once

#include <fmt/core.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"

namespace entrepot::cache {

/// Counts the errors that the disk gives, and says whether there are so many that somebody should look: three
/// in a minute, until there was none for a minute. A disk that is full is no error. Any thread; lock-free.
class Trouble {
 public:
  Trouble(const Clock& clock, Logger& logger, Metrics& metrics)
      : clock_(clock),
        logger_(logger),
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

  /// A line in the log, but not one for every request: of those in ten seconds the first alone.
  void complain(const std::string& what, const Error& error) {
    int64_t now = seconds();
    int64_t last = complained_.load(std::memory_order_relaxed);
    bool is_too_soon = now - last < kComplainEvery;
    if (is_too_soon || !complained_.compare_exchange_strong(last, now, std::memory_order_relaxed)) {
      unsaid_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    uint64_t unsaid = unsaid_.exchange(0, std::memory_order_relaxed);
    std::string others = unsaid == 0 ? "" : fmt::format(" (and {} more such errors before)", unsaid);
    logger_.error("{} has failed: {}{}", what, error.message, others);
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
  static constexpr int64_t kComplainEvery = 10;

  int64_t seconds() const {
    return std::chrono::duration_cast<std::chrono::seconds>(clock_.monotonic().time_since_epoch()).count();
  }

  const Clock& clock_;
  Logger& logger_;
  Counter errors_;
  mutable Gauge degraded_;
  std::atomic<int64_t> last_{-kWindow - 1};
  std::atomic<int> count_{0};
  std::atomic<int64_t> complained_{-kComplainEvery - 1};
  std::atomic<uint64_t> unsaid_{0};
};

}  // namespace entrepot::cache
