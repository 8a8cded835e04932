#pragma once

#include <array>

#include "base/metrics.h"

namespace entrepot::http {

/// The numbers of an HTTP server, asked for once. Any thread.
struct ServerMetrics {
  explicit ServerMetrics(Metrics& metrics);

  /// By status class. REQUIRES: 100 ≤ status < 600.
  const Counter& requests(int status) const { return by_class[static_cast<size_t>(status / 100 - 1)]; }

  std::array<Counter, 5> by_class;
  Counter sent_bytes;
  Counter cold_windows;
  Counter cut_answers;
  Gauge connections;
  // Bounds that bit.
  Counter header_timeouts;
  Counter idle_timeouts;
  Counter stalled_clients;
  Counter refused_heads;
  Counter failed_handshakes;
  Counter connection_limit;
  Counter descriptor_limit;
};

}  // namespace entrepot::http
