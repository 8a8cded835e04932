#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "cache/cache.h"
#include "proxy/manage/image_names.h"
#include "proxy/manage/purging.h"
#include "proxy/manage/verify_job.h"

namespace entrepot::manage {

/// The verbs on a cache, as JSON: what a request says, and what it is answered. docs/managing.md has both.
/// Made by whoever has the cache open: the daemon, or the command line when there is none. One thread at a
/// time.
class Verbs {
 public:
  /// What the cache may use, as it is configured now.
  struct Limits {
    uint64_t max_size = 0;
    uint64_t min_free = 0;
    bool is_offline = false;
  };

  /// What others have to do with it; both may be empty.
  struct Listeners {
    OnPurged purged;
    std::function<void(cache::DamagedBlob)>
        damaged;  // and dropped, by `verify`; on the index writer's thread
  };

  Verbs(cache::Cache& cache, std::span<const upstream::Settings> upstreams, const Clock& clock,
        std::function<Limits()> limits, Listeners listeners)
      : cache_(cache),
        names_(upstreams),
        clock_(clock),
        limits_(std::move(limits)),
        on_purged_(std::move(listeners.purged)),
        verify_(cache, clock, std::move(listeners.damaged)) {}

  /// BLOCKING. `request` is a JSON object, or "" for an empty one. `verify` does not wait for its end: it
  /// says how far it is. Errors: bad_request; manifest_unknown when nothing is selected by what was named;
  /// the cache's.
  Result<std::string> perform(std::string_view verb, std::string_view request);
  /// Any thread: what is being performed is left off soon, and nothing is performed any more.
  void end() { is_ending_ = true; }

 private:
  cache::Cache& cache_;
  const ImageNames names_;
  const Clock& clock_;
  const std::function<Limits()> limits_;
  const OnPurged on_purged_;
  std::atomic<bool> is_ending_{false};
  VerifyJob verify_;
};

}  // namespace entrepot::manage
