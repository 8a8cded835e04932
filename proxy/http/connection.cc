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
constexpr uint64_t kTlsSlice = 64 * 1024;    // where each byte is read and encrypted, too
constexpr int kDispatchesPerRun = 16;
constexpr int kDiscardsPerRun = 16;
constexpr size_t kMaxIdleCapacity = 4 * 1024;
constexpr Duration kDrainGrace{1'000};  // for a client that has connected but not asked yet

Channel channel_over(UniqueFd socket, const Service& service) {
  std::unique_ptr<TlsSession> tls;
  if (service.tls) tls = service.tls->session(socket.get());
  return Channel(std::move(socket), std::move(tls));
}

}  // namespace

Connection::Connection(ConnectionSet& set, UniqueFd socket, std::string peer,
                       std::shared_ptr<Service> service)
    : set_(set),
      service_(std::move(service)),
      channel_(channel_over(std::move(socket), *service_)),
      peer_(std::move(peer)),
      deadline_(kNever),
      parser_(set.fields()) {}

Connection::~Connection() = default;

void Connection::begin() {
  watch_.emplace(set_.loop(), "http connection", channel_.fd(),
                 [this](int mask, bool is_error) { on_ready(mask, is_error); });
  deadline_ = set_.now() + set_.limits().header_timeout;
  if (channel_.tls() != nullptr) state_ = State::greeting;
  if (set_.is_draining()) drain();
  run(true, kFirstSlice);
}

void Connection::want(int mask) {
  if (is_half_closed_) {
    // It would be reported again and again. But that he has gone altogether, the reset that answers our next
    // byte, is still to be heard.
    mask &= ~PollWatch::kDisconnect;
    if (mask == 0 && !has_urgent_data_) mask = PollWatch::kErrors;
  }
  mask_ = mask;
  watch_->want(mask);
}

void Connection::on_ready(int mask, bool is_error) {
  if (is_error) return close(Outcome::client_left);
  if (mask & PollWatch::kErrors) {
    has_urgent_data_ = true;
    want(mask_ & ~PollWatch::kErrors);
  }
  if (mask & PollWatch::kDisconnect) {
    // Half a close is no reason to stop: whoever has gone altogether answers the next byte with a reset.
    is_half_closed_ = true;
    want(mask_);
    if (state_ == State::answering && current_ != nullptr) current_->client_closed();
  }
  if (mask & PollWatch::kReadable) is_readable_ = true;
  if (state_ == State::greeting) return wait_for_turn();
  if (state_ != State::answering && !set_.has_had_its_share()) return run(true, kFirstSlice);
  if (state_ != State::answering) {
    want(0);  // or it would be reported again before it had its turn
    return wait_for_turn();
  }
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
  is_turn_ = true;
  run(true, channel_.tls() != nullptr ? kTlsSlice : kTurnSlice);
  is_turn_ = false;
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
    case State::greeting:
      return step_greeting();
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

// A handshake costs a millisecond of CPU or two: one a turn, so that a flood of them leaves the others
// theirs.
bool Connection::step_greeting() {
  if (!is_turn_) {
    want(PollWatch::kReadable);
    return false;
  }
  TlsSession& tls = *channel_.tls();
  switch (tls.shake_hands()) {
    case TlsSession::Handshake::done:
      state_ = State::reading;
      return true;
    case TlsSession::Handshake::wants_read:
      want(PollWatch::kReadable);
      return false;
    case TlsSession::Handshake::wants_write:
      want(PollWatch::kWritable);
      return false;
    case TlsSession::Handshake::plain_http:
      set_.metrics().failed_handshakes.add();
      channel_.drop_tls();
      refuse({400, "this listener speaks HTTPS, and the request was plain HTTP"});
      return true;
    case TlsSession::Handshake::failed:
      set_.metrics().failed_handshakes.add();
      set_.loop().logger().debug("no TLS with {}: {}", peer_, tls.failure());
      begin_linger();  // for the alert
      return true;
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
  if (is_body_awaited_) return step_body();
  if (!spare_) spare_ = std::make_unique<ClientExchange>(*this, set_.loop());
  switch (parser_.parse(unread(), spare_->mutable_request())) {
    case Parser::Verdict::need_more:
      return receive();
    case Parser::Verdict::failed:
      refuse(parser_.refusal());
      return true;
    case Parser::Verdict::complete:
      if (service_->max_body > 0 && spare_->mutable_request().has_body) return step_body();
      dispatch();
      return true;
  }
  return false;
}

// Bounded in bytes, and in time as the head is: by the same deadline.
bool Connection::step_body() {
  Request& request = spare_->mutable_request();
  bool is_in_chunks = request.content_length == 0;
  if (is_in_chunks || request.content_length > service_->max_body) {
    is_body_awaited_ = false;
    refuse(is_in_chunks ? Refusal{411, "a body without Content-Length"}
                        : Refusal{413, "the body is too large"});
    return true;
  }
  std::string_view body = unread().substr(parser_.consumed());
  is_body_awaited_ = body.size() < request.content_length;
  if (is_body_awaited_) return receive();
  request.body = body.substr(0, request.content_length);
  dispatch();
  return true;
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
  ssize_t got = channel_.receive(scratch.data(), scratch.size());
  if (got > 0) {
    is_readable_ = static_cast<size_t>(got) == scratch.size() || channel_.tls() != nullptr;
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
  read_at_ += parser_.consumed() + spare_->mutable_request().body.size();
  parser_.reset();
  // A body stays where it is until it has been answered.
  if (unread().empty() && spare_->mutable_request().body.empty()) {
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
  // The answer to a HEAD has no body, whatever is wrong with it (RFC 9110 section 9.3.2).
  std::string_view request = unread();
  request.remove_prefix(std::min(request.find_first_not_of("\r\n"), request.size()));
  append_refusal(sender_.out(), refusal, set_.date(), request.starts_with("HEAD "));
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

void Connection::begin_linger() {
  channel_.end_sending();
  state_ = State::lingering;
  deadline_ = set_.now() + set_.limits().linger_timeout;
  received_ = std::string();
  read_at_ = 0;
}

bool Connection::step_lingering() {
  auto& scratch = set_.scratch();
  for (int i = 0; i < kDiscardsPerRun; ++i) {
    ssize_t got = recv(channel_.fd(), scratch.data(), scratch.size(), MSG_DONTWAIT);
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
    case State::greeting:
      metrics.header_timeouts.add();
      return close(Outcome::client_left);
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
  if (state_ == State::greeting) deadline_ = std::min(deadline_, set_.now() + kDrainGrace);
  if (state_ != State::reading) return;
  deadline_ = std::min(deadline_, set_.now() + kDrainGrace);
  is_readable_ = true;  // a request may be on its way already
  run(true, kFirstSlice);
}

void Connection::cut() {
  if (is_closed()) return;
  if (state_ == State::answering && current_ != nullptr && current_->has_begun()) {
    channel_.reset_at_close();
  }
  close(Outcome::aborted);
}

void Connection::close(Outcome outcome) {
  if (is_closed()) return;
  state_ = State::closed;
  deadline_ = kNever;
  watch_.reset();
  channel_.close();
  sender_.clear();
  spare_.reset();
  if (current_ != nullptr) {
    record(outcome);
    std::exchange(current_, nullptr)->leave_connection();
  }
  set_.retire(*this);
}

}  // namespace entrepot::http
