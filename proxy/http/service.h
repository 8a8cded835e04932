#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "proxy/http/exchange.h"
#include "proxy/http/tls.h"

namespace entrepot::http {

/// What the connections of one listener have in common. Shared by them and the listener; immutable but for
/// the count.
struct Service {
  std::vector<Handler*> handlers;  // by loop; they outlive the server
  std::shared_ptr<TlsKeys> tls;    // nullptr: plain
  bool has_access_log = true;
  size_t max_connections = 16384;
  size_t max_body = 0;  // of a request; 0 = no body is read
  std::atomic<size_t> connections{0};
  /// Any loop: there is room again after the bound was reached.
  std::function<void()> on_room;

  bool is_full() const { return connections.load() >= max_connections; }
  void connection_closed() {
    if (connections.fetch_sub(1) == max_connections && on_room) on_room();
  }
};

}  // namespace entrepot::http
