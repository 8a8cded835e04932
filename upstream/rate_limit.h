#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "upstream/response_head.h"

namespace entrepot::upstream {

/// What a registry says of how much it still gives out: Docker Hub's RateLimit-Limit and RateLimit-Remaining
/// of a manifest's answer, "100;w=21600" (draft-ietf-httpapi-ratelimit-headers-02; w = the window, seconds).
struct RateLimit {
  uint64_t limit = 0;
  uint64_t remaining = 0;
  std::optional<uint64_t> window_seconds;

  /// Less than a tenth is left, or nothing: what can wait should.
  bool is_nearly_used_up() const { return remaining < limit / 10 || remaining == 0; }

  /// Nothing when the answer has not both, or has them twice or in another form.
  static std::optional<RateLimit> of(const ResponseHead& head);
};

/// The rate limit of one origin as it was last told, for the metrics page, and a line in the log when less
/// than a tenth is left. Nothing is shown of registries that do not tell. Shared by all loops; any thread.
class RateLimitWatch {
 public:
  /// So often at most the log is told.
  static constexpr Duration kBetweenWarnings{600'000};

  /// `metrics` and `logger` outlive it. `has_credential`: the limit is the credential's, not our address'.
  RateLimitWatch(Metrics& metrics, Logger& logger, std::string upstream, bool has_credential)
      : metrics_(metrics), logger_(logger), upstream_(std::move(upstream)), has_credential_(has_credential) {}

  void note(const ResponseHead& head, MonotonicTime now);

 private:
  struct Gauges {
    Gauge limit;
    Gauge remaining;
  };

  Metrics& metrics_;
  Logger& logger_;
  const std::string upstream_;
  const bool has_credential_;
  std::mutex mutex_;
  std::optional<Gauges> gauges_;  // made when the registry first tells
  std::optional<MonotonicTime> warned_at_;
};

}  // namespace entrepot::upstream
