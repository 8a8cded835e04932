#include "proxy/http/connection_set.h"

#include <algorithm>

#include "proxy/http/connection.h"

namespace entrepot::http {
namespace {

// What one iteration of the loop sends in turns, all connections together: well under the 10 ms that are a
// stall, also where the machine is slow.
constexpr uint64_t kIterationBytes = 4 * 1024 * 1024;
constexpr std::chrono::milliseconds kIterationTime{3};
// Less than what a small answer's client would notice.
constexpr uint64_t kSecondTurnsUntil = 1024 * 1024;

// Of ten thousand idle connections that all end, so many in one turn of the loop.
constexpr size_t kVisitedAtOnce = 128;

constexpr int kLoopIndexShift = 40;

}  // namespace

ConnectionSet::ConnectionSet(EventLoop& loop, DiskPool& disk, const Limits& limits, ServerMetrics& metrics,
                             ColdWatch& cold_watch)
    : loop_(loop),
      disk_(disk),
      limits_(limits),
      metrics_(metrics),
      cold_watch_(cold_watch),
      date_(loop.clock()),
      scratch_(std::make_unique<std::array<char, 64 * 1024>>()),
      last_request_id_(static_cast<uint64_t>(loop.index()) << kLoopIndexShift) {}

ConnectionSet::~ConnectionSet() {
  for (auto& connection : connections_) connection->cut();
}

void ConnectionSet::add(UniqueFd socket, std::string peer, std::shared_ptr<Service> service) {
  if (is_cut_) {
    --size_;
    service->connection_closed();
    return;
  }
  auto connection =
      std::make_shared<Connection>(*this, std::move(socket), std::move(peer), std::move(service));
  connections_.push_back(connection);
  connection->set_place(std::prev(connections_.end()));
  metrics_.connections.add(1);
  arm_sweep();
  connection->begin();
}

void ConnectionSet::arm_sweep() {
  if (!sweep_timer_) sweep_timer_.emplace(loop_, "http sweep");
  if (sweep_timer_->is_set()) return;
  sweep_timer_->start(limits_.sweep_period, [this] { sweep(); });
}

void ConnectionSet::sweep() {
  MonotonicTime time = now();
  for (auto& connection : connections_) connection->check_deadline(time);
  if (!connections_.empty()) arm_sweep();
}

void ConnectionSet::enqueue(Connection& connection) {
  queue_.push_back(connection.weak_from_this());
  if (is_run_posted_) return;
  is_run_posted_ = true;
  loop_.post([this] { run_queue(); });
}

void ConnectionSet::run_queue() {
  is_run_posted_ = false;
  at_once_left_ = kAtOnceBytes;
  uint64_t sent = 0;
  MonotonicTime until = std::chrono::steady_clock::now() + kIterationTime;
  // Everybody has a turn; then, where those who are in line again are few, some more: an iteration costs what
  // it costs, however little is sent in it.
  size_t first_turns = queue_.size();
  while (!queue_.empty() && sent < (first_turns > 0 ? kIterationBytes : kSecondTurnsUntil)) {
    if (std::chrono::steady_clock::now() > until) break;
    first_turns -= std::min<size_t>(first_turns, 1);
    std::shared_ptr<Connection> connection = queue_.front().lock();
    queue_.pop_front();
    if (connection) sent += connection->take_turn();
  }
  if (queue_.empty() || is_run_posted_) return;
  is_run_posted_ = true;
  loop_.post([this] { run_queue(); });
}

void ConnectionSet::retire(Connection& connection) {
  metrics_.connections.add(-1);
  connection.service().connection_closed();
  --size_;
  closed_.push_back(connection.place());
  if (closed_.size() == 1) loop_.post([this] { bury(); });
}

void ConnectionSet::bury() {
  for (size_t i = 0; i < kVisitedAtOnce && !closed_.empty(); ++i) {
    if (to_visit_ == closed_.front()) ++to_visit_;
    connections_.erase(closed_.front());
    closed_.pop_front();
  }
  if (!closed_.empty()) loop_.post([this] { bury(); });
  report_if_drained();
}

void ConnectionSet::drain(Duration timeout, std::move_only_function<void()> done) {
  is_draining_ = true;
  on_drained_ = std::move(done);
  visit_all(&Connection::drain);
  drain_timer_.emplace(loop_, "http drain");
  drain_timer_->start(timeout, [this] { visit_all(&Connection::cut); });
  report_if_drained();
}

// Those that come meanwhile are among them.
void ConnectionSet::visit_all(void (Connection::*visit)()) {
  bool is_on_its_way = to_visit_ != connections_.end();
  visit_ = visit;
  to_visit_ = connections_.begin();
  if (!is_on_its_way) visit_some();
}

void ConnectionSet::visit_some() {
  for (size_t i = 0; i < kVisitedAtOnce && to_visit_ != connections_.end(); ++i) {
    std::shared_ptr<Connection> connection = *to_visit_++;
    (connection.get()->*visit_)();
  }
  if (to_visit_ != connections_.end()) loop_.post([this] { visit_some(); });
}

void ConnectionSet::report_if_drained() {
  if (!on_drained_ || !connections_.empty()) return;
  drain_timer_.reset();
  auto done = std::move(on_drained_);
  on_drained_ = nullptr;
  done();
}

void ConnectionSet::cut() {
  is_cut_ = true;
  visit_all(&Connection::cut);
}

}  // namespace entrepot::http
