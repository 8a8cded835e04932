#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/loop/event_loop.h"
#include "base/loop/poll_watch.h"
#include "base/loop/timer.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "proxy/http/address.h"
#include "proxy/http/server_metrics.h"

namespace entrepot::http {

/// One listening socket. Bound once, without SO_REUSEPORT, so that a second daemon on the address fails
/// loudly. Opened by main; from `start` on it belongs to one loop's thread. Destroyed after that thread has
/// ended, or by it.
///
///     open → accepting (start) ⇄ paused (no room, no descriptors) → stopped (stop_accepting)
class Listener {
 public:
  /// Binds and listens. A socket file that nobody answers on is replaced; one that is answered is an error.
  /// `unix_mode`: permissions of the socket file. "[::]:5000" is IPv6 alone.
  static Result<std::unique_ptr<Listener>> open(const Address& address, mode_t unix_mode);
  /// Takes over a socket that is bound already: from systemd, or from the process being replaced. Its file,
  /// if it has one, is left alone at the end.
  static Result<std::unique_ptr<Listener>> adopt(UniqueFd socket);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// What is done with a client's socket: non-blocking, close-on-exec, without Nagle's delay.
  using Accepted = std::move_only_function<void(UniqueFd socket, std::string peer)>;
  /// Asked before each accept; false pauses until `resume`.
  using HasRoom = std::move_only_function<bool()>;
  void start(EventLoop& loop, ServerMetrics& metrics, HasRoom has_room, Accepted accepted);
  void resume();
  /// Takes those that wait in the backlog, then closes. Those who come later are refused.
  void stop_accepting();

  /// The bound address, with the real port: "127.0.0.1:40312", "[::1]:5000", "unix:/path".
  const std::string& address() const { return address_; }
  bool is_unix() const { return is_unix_; }
  /// 0 for a unix socket.
  uint16_t port() const { return port_; }

 private:
  Listener(UniqueFd socket, std::string own_path);
  void accept_some();
  void pause_for_descriptors(int error);

  UniqueFd socket_;
  const std::string own_path_;  // of a socket file that we made
  std::string address_;
  bool is_unix_ = false;
  uint16_t port_ = 0;

  EventLoop* loop_ = nullptr;
  ServerMetrics* metrics_ = nullptr;
  HasRoom has_room_;
  Accepted accepted_;
  std::optional<PollWatch> watch_;
  std::optional<Timer> pause_;
};

}  // namespace entrepot::http
