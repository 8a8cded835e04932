#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/metrics.h"

namespace entrepot::upstream {

enum class RequestKind { manifest, blob, token, listing };

/// The counters of one upstream, made once and shared by its origins and all loops. A value.
class UpstreamMetrics {
 public:
  UpstreamMetrics(Metrics& metrics, const std::string& upstream);

  /// One request on the wire, each hop and attempt for itself. `status` 0 = no response.
  void count_request(RequestKind kind, int status) const;

  Counter tokens_granted;
  Counter tokens_failed;
  Counter realms_rejected;
  Counter redirects_refused;
  Counter connections_refused;
  Counter overloads;
  Counter breaker_openings;
  Counter received_bytes;

 private:
  static constexpr size_t kClasses = 5;
  std::vector<Counter> requests_;  // by kind, then class
};

}  // namespace entrepot::upstream
