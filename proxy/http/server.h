#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/disk/disk_pool.h"
#include "base/loop/loop_group.h"
#include "proxy/http/address.h"
#include "proxy/http/exchange.h"
#include "proxy/http/file_window.h"
#include "proxy/http/limits.h"
#include "proxy/http/listener.h"
#include "proxy/http/server_metrics.h"
#include "proxy/http/tls.h"

namespace entrepot::http {

class ConnectionSet;
struct Service;

/// The HTTP server of the process: its listeners and every loop's connections. Made by main.
///
/// Life: constructed and given its listeners before or after the loops start; `start`; `drain`; `shut_down`;
/// then LoopGroup::stop(); then destroyed, before the loops and after the disk pool has ended its jobs or
/// together with it.
class Server {
 public:
  struct Options {
    Limits limits;
  };
  struct ListenerOptions {
    std::vector<Handler*> handlers;  // one per loop, in order; they outlive the server
    size_t max_connections = 16384;  // at more, nobody is accepted until there is room
    bool has_access_log = true;
    size_t max_body = 0;                // of a request, in bytes; 0: it is not read, as a registry needs none
    mode_t unix_mode = 0666;            // control: 0600
    std::shared_ptr<TlsKeys> tls = {};  // not for unix sockets; nullptr: plain
  };

  Server(LoopGroup& loops, DiskPool& disk, Metrics& metrics, Options options);
  /// REQUIRES: the loops' threads have ended, or never ran.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Main's thread. Binds; clients may connect but wait for `start`. The listener is good until the server
  /// goes.
  Result<const Listener*> add_listener(const Address& address, ListenerOptions options);
  Result<const Listener*> add_inherited(UniqueFd socket, ListenerOptions options);
  /// Main's thread, once, after the last add: accepts from now on.
  void start();

  /// Any thread, once: stops accepting, closes idle connections, lets running answers end until `timeout`,
  /// cuts the rest. Then `done`, on loop 0's thread, which must not destroy the server.
  void drain(Duration timeout, std::move_only_function<void()> done);
  bool is_draining() const { return is_draining_.load(); }
  /// Any thread: cuts everything. What this posts runs before LoopGroup::stop() gets through.
  void shut_down();

  /// Any thread.
  size_t connections() const;

 private:
  struct Door;
  Result<const Listener*> add(std::unique_ptr<Listener> listener, ListenerOptions options);
  void hand_over(UniqueFd socket, std::string peer, const std::shared_ptr<Service>& service);
  void stop_accepting();
  void loop_drained();

  LoopGroup& loops_;
  ServerMetrics metrics_;
  const Limits limits_;
  ColdWatch cold_watch_;
  std::vector<std::unique_ptr<ConnectionSet>> sets_;  // by loop
  std::vector<std::unique_ptr<Door>> doors_;
  std::atomic<bool> is_draining_{false};
  size_t loops_draining_ = 0;                   // loop 0's
  std::move_only_function<void()> on_drained_;  // loop 0's
};

}  // namespace entrepot::http
