#include "proxy/http/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "proxy/http/client_exchange.h"
#include "proxy/http/file_window.h"

namespace entrepot::http {
namespace {

constexpr uint64_t kFirstSlice = 64 * 1024;  // at once, in whatever callback it is
constexpr uint64_t kTurnSlice = 256 * 1024;  // in a turn of the queue
constexpr int kDispatchesPerRun = 16;
constexpr int kDiscardsPerRun = 16;
constexpr size_t kMaxIdleCapacity = 4 * 1024;
constexpr Duration kDrainGrace{1'000};  // for a client that has connected but not asked yet
constexpr MonotonicTime kNever = MonotonicTime::max();

}  // namespace

Connection::Connection(ConnectionSet& set, UniqueFd socket, std::string peer,
                       std::shared_ptr<Service> service)
    : set_(set),
      service_(std::move(service)),
      socket_(std::move(socket)),
      peer_(std::move(peer)),
      deadline_(kNever),
      parser_(set.fields()) {}

Connection::~Connection() = default;

void Connection::begin() {
  watch_.emplace(set_.loop(), "http connection", socket_.get(),
                 [this](int mask, bool is_error) { on_ready(mask, is_error); });
  deadline_ = set_.now() + set_.limits().header_timeout;
  if (set_.is_draining()) drain();
  run(true, kFirstSlice);
}

void Connection::want(int mask) {
  // A client that has closed its side would be reported again and again.
  if (is_half_closed_) mask &= ~PollWatch::kDisconnect;
  mask_ = mask;
  watch_->want(mask);
}

void Connection::on_ready(int mask, bool is_error) {
  if (is_error) return close(Outcome::client_left);
  if (mask & PollWatch::kDisconnect) {
    // Half a close is no reason to stop: whoever has gone altogether answers the next byte with a reset.
    is_half_closed_ = true;
    want(mask_);
  }
  if (mask & PollWatch::kReadable) is_readable_ = true;
  if (state_ != State::answering) return run(true, kFirstSlice);
  if (!(mask & PollWatch::kWritable)) return;
  if (sender_.file())
    wait_for_turn();
  else
    run(true, kFirstSlice);
}

void Connection::pump() { run(false, kFirstSlice); }

uint64_t Connection::take_turn() {
  is_queued_ = false;
  uint64_t before = sender_.total_sent();
  run(true, kTurnSlice);
  return sender_.total_sent() - before;
}

void Connection::wait_for_turn() {
  if (is_queued_ || is_closed()) return;
  is_queued_ = true;
  set_.enqueue(*this);
}

void Connection::run(bool may_dispatch, uint64_t slice) {
  if (is_running_) return;  // the loop below goes on
  is_running_ = true;
  may_dispatch_ = may_dispatch;
  dispatches_left_ = kDispatchesPerRun;
  slice_ = slice;
  while (step()) {
  }
  is_running_ = false;
}

bool Connection::step() {
  switch (state_) {
    case State::reading:
      return step_reading();
    case State::answering:
      return step_answering();
    case State::lingering:
      return step_lingering();
    case State::closed:
      return false;
  }
  return false;
}

bool Connection::step_reading() {
  if (!has_news_) return receive();
  if (!may_dispatch_ || dispatches_left_ == 0) {
    wait_for_turn();
    return false;
  }
  has_news_ = false;
  if (!spare_) spare_ = std::make_unique<ClientExchange>(*this, set_.loop());
  switch (parser_.parse(unread(), spare_->mutable_request())) {
    case Parser::Verdict::need_more:
      return receive();
    case Parser::Verdict::failed:
      refuse(parser_.refusal());
      return true;
    case Parser::Verdict::complete:
      dispatch();
      return true;
  }
  return false;
}

bool Connection::receive() {
  if (!is_readable_) {
    if (set_.is_draining() && unread().empty() && has_served_) {
      close(Outcome::client_left);
      return false;
    }
    want(PollWatch::kReadable);
    return false;
  }
  auto& scratch = set_.scratch();
  ssize_t got = recv(socket_.get(), scratch.data(), scratch.size(), MSG_DONTWAIT);
  if (got > 0) {
    is_readable_ = static_cast<size_t>(got) == scratch.size();
    if (unread().empty() && has_served_) deadline_ = set_.now() + set_.limits().header_timeout;
    received_.erase(0, read_at_);
    read_at_ = 0;
    received_.append(scratch.data(), static_cast<size_t>(got));
    has_news_ = true;
    return true;
  }
  if (got < 0 && errno == EINTR) return true;
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    is_readable_ = false;
    return true;
  }
  close(Outcome::client_left);
  return false;
}

void Connection::dispatch() {
  --dispatches_left_;
  read_at_ += parser_.consumed();
  parser_.reset();
  if (unread().empty()) {
    read_at_ = 0;
    received_.clear();
    if (received_.capacity() > kMaxIdleCapacity) received_.shrink_to_fit();
  }
  has_served_ = true;
  state_ = State::answering;
  deadline_ = kNever;
  answer_begun_ = set_.now();
  sent_before_answer_ = progress_mark_ = sender_.total_sent();
  current_ = spare_.release();
  Request& request = current_->mutable_request();
  request.peer = peer_;
  request.id = set_.next_request_id();
  Handler& handler = *service_->handlers[static_cast<size_t>(set_.loop().index())];
  handler.handle(current_->hand_out());
}

void Connection::refuse(const Refusal& refusal) {
  append_refusal(sender_.out(), refusal, set_.date());
  state_ = State::answering;
  closes_after_ = true;
  deadline_ = kNever;
  sent_before_answer_ = progress_mark_ = sender_.total_sent();
  ServerMetrics& metrics = set_.metrics();
  metrics.requests(refusal.status).add();
  if (refusal.status == 431 || refusal.status == 414) metrics.refused_heads.add();
  set_.loop().logger().debug("a request of {} was refused with {}: {}", peer_, refusal.status,
                             refusal.message);
}

ConnectionLine Connection::settle_end(const Request& request, BodyFraming framing) {
  closes_after_ = !request.wants_keep_alive || request.has_body || set_.is_draining() || is_half_closed_ ||
                  framing == BodyFraming::until_close;
  if (closes_after_) return ConnectionLine::close;
  return request.minor_version == 0 ? ConnectionLine::keep_alive : ConnectionLine::none;
}

bool Connection::step_answering() {
  if (is_warming_) return false;
  Look look = sender_.file() ? set_.cold_watch().look(set_.now()) : Look::samples;
  Sender::Progress progress = sender_.pump(socket_.get(), slice_, look);
  if (progress == Sender::Progress::blocked) {
    wait_blocked();
    return false;
  }
  deadline_ = kNever;
  switch (progress) {
    case Sender::Progress::done:
      if (current_ != nullptr) current_->on_flushed();
      if (current_ == nullptr || current_->has_ended()) {
        end_answer();
        return true;
      }
      want(PollWatch::kDisconnect);
      return false;
    case Sender::Progress::slice_used:
      if (mask_ & PollWatch::kReadable) want(PollWatch::kDisconnect);
      wait_for_turn();
      return false;
    case Sender::Progress::cold:
      start_warming();
      return false;
    case Sender::Progress::truncated:
      set_.loop().logger().error("a file is shorter than what was promised of it; the answer is cut");
      cut();
      return false;
    default:
      close(Outcome::client_left);
      return false;
  }
}

void Connection::wait_blocked() {
  want(PollWatch::kWritable | PollWatch::kDisconnect);
  if (deadline_ != kNever && sender_.total_sent() - progress_mark_ < kMinProgressBytes) return;
  progress_mark_ = sender_.total_sent();
  deadline_ = set_.now() + set_.limits().stall_timeout;
}

void Connection::start_warming() {
  is_warming_ = true;
  want(PollWatch::kDisconnect);
  set_.metrics().cold_windows.add();
  set_.cold_watch().saw_cold(set_.now());
  auto job = [self = weak_from_this(), &loop = set_.loop(), file = sender_.file(),
              begin = sender_.cold_begin(), end = sender_.cold_end()]() mutable {
    bool is_readable = warm_window(file->get(), begin, end);
    file.reset();
    loop.post([self = std::move(self), end, is_readable] {
      if (auto connection = self.lock()) connection->on_warmed(end, is_readable);
    });
  };
  set_.disk().submit("warm", std::move(job));
}

void Connection::on_warmed(uint64_t end, bool is_readable) {
  is_warming_ = false;
  if (is_closed()) return;
  if (!is_readable) {
    set_.loop().logger().error("a file cannot be read as far as it was promised; the answer is cut");
    return cut();
  }
  sender_.set_warm_until(end);
  wait_for_turn();
}

void Connection::end_answer() {
  if (current_ != nullptr) {
    record(Outcome::complete);
    ClientExchange* exchange = std::exchange(current_, nullptr);
    if (exchange->is_held()) {
      exchange->leave_connection();
    } else {
      exchange->reset();
      spare_.reset(exchange);
    }
  }
  if (closes_after_ || set_.is_draining()) return begin_linger();
  state_ = State::reading;
  has_news_ = !unread().empty();
  const Limits& limits = set_.limits();
  deadline_ = set_.now() + (has_news_ ? limits.header_timeout : limits.idle_timeout);
}

void Connection::record(Outcome outcome) {
  ServerMetrics& metrics = set_.metrics();
  AccessRecord record{current_->status(), sender_.total_sent() - sent_before_answer_, {}, outcome};
  record.duration = std::chrono::duration_cast<Duration>(set_.now() - answer_begun_);
  if (record.status >= 100 && record.status < 600) metrics.requests(record.status).add();
  metrics.sent_bytes.add(static_cast<double>(record.bytes));
  if (outcome != Outcome::complete) metrics.cut_answers.add();
  if (service_->has_access_log)
    write_access_line(set_.loop().logger(), current_->request(), current_->note(), record);
}

void Connection::begin_linger() {
  if (is_half_closed_) return close(Outcome::client_left);
  shutdown(socket_.get(), SHUT_WR);
  state_ = State::lingering;
  deadline_ = set_.now() + set_.limits().linger_timeout;
  received_ = std::string();
  read_at_ = 0;
}

bool Connection::step_lingering() {
  auto& scratch = set_.scratch();
  for (int i = 0; i < kDiscardsPerRun; ++i) {
    ssize_t got = recv(socket_.get(), scratch.data(), scratch.size(), MSG_DONTWAIT);
    if (got > 0 || (got < 0 && errno == EINTR)) continue;
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
      close(Outcome::client_left);
      return false;
    }
    break;
  }
  want(PollWatch::kReadable);
  return false;
}

void Connection::check_deadline(MonotonicTime now) {
  if (now < deadline_) return;
  ServerMetrics& metrics = set_.metrics();
  switch (state_) {
    case State::reading:
      (has_served_ && unread().empty() ? metrics.idle_timeouts : metrics.header_timeouts).add();
      if (unread().empty()) return close(Outcome::client_left);
      refuse({408, "the request's head took too long"});
      return run(true, kFirstSlice);
    case State::answering:
      metrics.stalled_clients.add();
      return cut();
    case State::lingering:
    case State::closed:
      return close(Outcome::client_left);
  }
}

void Connection::drain() {
  if (state_ != State::reading) return;
  deadline_ = std::min(deadline_, set_.now() + kDrainGrace);
  is_readable_ = true;  // a request may be on its way already
  run(true, kFirstSlice);
}

void Connection::cut() {
  if (is_closed()) return;
  if (state_ == State::answering && current_ != nullptr && current_->has_begun()) {
    linger reset{1, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  close(Outcome::aborted);
}

void Connection::close(Outcome outcome) {
  if (is_closed()) return;
  state_ = State::closed;
  deadline_ = kNever;
  watch_.reset();
  socket_.reset();
  sender_.clear();
  spare_.reset();
  if (current_ != nullptr) {
    record(outcome);
    std::exchange(current_, nullptr)->leave_connection();
  }
  set_.retire(*this);
}

}  // namespace entrepot::http
