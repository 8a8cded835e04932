#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/disk/disk_pool.h"
#include "base/loop/event_loop.h"
#include "base/loop/timer.h"
#include "base/unique_fd.h"
#include "proxy/http/answer_head.h"
#include "proxy/http/file_window.h"
#include "proxy/http/limits.h"
#include "proxy/http/parser.h"
#include "proxy/http/server_metrics.h"
#include "proxy/http/service.h"

namespace entrepot::http {

class Connection;

/// All client connections of one loop, and what they share: the receive buffer, the rendered date, the sweep
/// for deadlines and the queue in which those with much to send take turns. Connections are made and
/// destroyed here alone. Made and destroyed by the server while the loop's thread does not run; else loop's
/// thread only, but for `size()`.
class ConnectionSet {
 public:
  ConnectionSet(EventLoop& loop, DiskPool& disk, const Limits& limits, ServerMetrics& metrics,
                ColdWatch& cold_watch);
  ~ConnectionSet();
  ConnectionSet(const ConnectionSet&) = delete;
  ConnectionSet& operator=(const ConnectionSet&) = delete;

  /// Takes a client's socket. Its place in `service` is taken already. After `cut` it is just closed.
  void add(UniqueFd socket, std::string peer, std::shared_ptr<Service> service);
  /// Any thread: connections that are here or on their way.
  size_t size() const { return size_.load(); }
  /// The acceptor's thread: one is on its way.
  void reserve() { ++size_; }

  /// Idle connections close, the others after their answer; those that are still there after `timeout` are
  /// cut. Then `done`.
  void drain(Duration timeout, std::move_only_function<void()> done);
  bool is_draining() const { return is_draining_; }
  /// Cuts all, and whatever comes later.
  void cut();

  // For the connections.

  EventLoop& loop() const { return loop_; }
  DiskPool& disk() const { return disk_; }
  const Limits& limits() const { return limits_; }
  ServerMetrics& metrics() const { return metrics_; }
  ColdWatch& cold_watch() const { return cold_watch_; }
  DateLine& date() { return date_; }
  FieldPool& fields() { return fields_; }
  std::array<char, 64 * 1024>& scratch() { return *scratch_; }
  MonotonicTime now() const { return loop_.clock().monotonic(); }
  uint64_t next_request_id() { return ++last_request_id_; }
  /// Of files, outside the turns of the queue: a hundred followers of one fill are woken together, and each
  /// sends at once, so it is little that they may send together before the rest waits for its turn.
  bool may_send_at_once() const { return at_once_left_ > 0; }
  /// Looking for room and for warm pages has its price also where nothing could be sent.
  void sent_at_once(uint64_t bytes) {
    at_once_left_ -= std::min(at_once_left_, std::max(bytes, kLeastCharge));
  }
  /// Whether this iteration of the loop has done its share of work for sockets that were ready: a thousand
  /// may be reported at once, or all, when a network between us and them fails.
  bool has_had_its_share() const { return loop_.iteration_so_far() > kShare; }
  /// `connection` goes on in a turn of its own, after those that wait already.
  void enqueue(Connection& connection);
  /// `connection` has closed; it is destroyed when nothing of it is on the stack any more.
  void retire(Connection& connection);

 private:
  static constexpr std::chrono::milliseconds kShare{5};
  static constexpr uint64_t kAtOnceBytes = 1024 * 1024;  // until the queue has had its turn
  static constexpr uint64_t kLeastCharge = 32 * 1024;
  using Connections = std::list<std::shared_ptr<Connection>>;
  void sweep();
  void run_queue();
  void bury();
  void visit_all(void (Connection::*visit)());
  void visit_some();
  void arm_sweep();
  void report_if_drained();

  EventLoop& loop_;
  DiskPool& disk_;
  const Limits& limits_;
  ServerMetrics& metrics_;
  ColdWatch& cold_watch_;
  DateLine date_;
  FieldPool fields_;
  std::unique_ptr<std::array<char, 64 * 1024>> scratch_;
  uint64_t last_request_id_;

  Connections connections_;
  std::deque<Connections::iterator> closed_;  // still among them
  void (Connection::*visit_)() = nullptr;     // what is being done to all of them, some at a time
  Connections::iterator to_visit_ = connections_.end();
  std::atomic<size_t> size_{0};
  std::deque<std::weak_ptr<Connection>> queue_;
  bool is_run_posted_ = false;
  uint64_t at_once_left_ = kAtOnceBytes;
  std::optional<Timer> sweep_timer_;

  bool is_draining_ = false;
  bool is_cut_ = false;
  std::optional<Timer> drain_timer_;
  std::move_only_function<void()> on_drained_;
};

}  // namespace entrepot::http
