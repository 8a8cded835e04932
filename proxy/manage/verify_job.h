#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "cache/cache.h"

namespace entrepot::manage {

/// One verification at a time, on a thread of its own; whoever asks meanwhile is told of the one that runs.
///
///     nothing --start--> running --all was read--> done        (start begins anew)
///                        running --an error--> failed
///
/// Made by Verbs and used on its thread; ends, within a piece of 256 KiB, when it is destroyed.
class VerifyJob {
 public:
  /// `damaged`: as of Cache::verify.
  VerifyJob(cache::Cache& cache, const Clock& clock, std::function<void(cache::DamagedBlob)> damaged)
      : cache_(cache), clock_(clock), damaged_(std::move(damaged)) {}
  ~VerifyJob();

  /// Begins, unless one is running.
  void start(bool repairs);

  struct Status {
    bool is_running = false;
    bool repairs = false;
    std::optional<Error> failure;
    cache::VerifyReport report;  // so far
  };
  /// nullopt: none was ever started.
  std::optional<Status> status() const;

 private:
  void run(bool repairs);
  void show(const cache::VerifyReport& report, bool is_running, std::optional<Error> failure = std::nullopt);

  cache::Cache& cache_;
  const Clock& clock_;
  const std::function<void(cache::DamagedBlob)> damaged_;
  std::atomic<bool> is_ending_{false};
  mutable std::mutex mutex_;
  std::optional<Status> status_;
  std::thread thread_;
};

}  // namespace entrepot::manage
