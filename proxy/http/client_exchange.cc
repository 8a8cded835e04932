#include "proxy/http/client_exchange.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "base/check.h"
#include "proxy/http/connection.h"

namespace entrepot::http {
namespace {

tl::unexpected<Error> client_left() { return fail(Errc::cancelled, "the client has left"); }

}  // namespace

ClientExchange::ClientExchange(Connection& connection, EventLoop& loop)
    : loop_(loop), connection_(&connection) {}
ClientExchange::~ClientExchange() { CHECK(writer_ == nullptr && !is_held_); }

std::shared_ptr<Exchange> ClientExchange::hand_out() {
  is_held_ = true;
  return std::shared_ptr<ClientExchange>(this, Releaser{});
}

void ClientExchange::on_released() {
  is_held_ = false;
  if (connection_ == nullptr) {
    delete this;
  } else if (state_ != State::ended) {
    abort();  // destroys this
  }
}

void ClientExchange::on_client_left(std::move_only_function<void()> left) {
  left_ = std::move(left);
  if (left_ && connection_ == nullptr) std::exchange(left_, nullptr)();
}

void ClientExchange::client_closed() {
  if (left_ && state_ != State::ended) std::exchange(left_, nullptr)();
}

void ClientExchange::leave_connection() {
  connection_ = nullptr;
  client_closed();
  if (writer_ != nullptr) std::exchange(writer_, nullptr)->complete(client_left());
  if (!is_held_) delete this;
}

void ClientExchange::reset() {
  CHECK(!is_held_ && writer_ == nullptr);
  left_ = nullptr;
  note_ = {};
  state_ = State::fresh;
  status_ = 0;
}

// Gives back whether a body follows.
bool ClientExchange::put_head(const Head& head, std::optional<uint64_t> length) {
  status_ = head.status;
  BodyFraming framing = framing_of(head.status, request_.minor_version, length);
  std::string& out = connection_->sender().out();
  // RFC 9110 section 9.3.2: to HEAD, what would have been said about the body may be said, but for its
  // coding.
  bool is_head = request_.method == Method::head;
  append_head(out, head, is_head && framing != BodyFraming::length ? BodyFraming::none : framing, length);
  append_head_end(out, connection_->set().date(),
                  connection_->settle_end(request_, is_head ? BodyFraming::none : framing));
  is_chunked_ = framing == BodyFraming::chunked;
  return !is_head && framing != BodyFraming::none;
}

void ClientExchange::send(Head head, std::string body) {
  CHECK(state_ == State::fresh);
  state_ = State::ended;
  if (connection_ == nullptr) return;
  if (put_head(head, body.size())) connection_->sender().add_body(std::move(body));
  connection_->pump();
}

void ClientExchange::send_canned(std::shared_ptr<const CannedAnswer> answer) {
  CHECK(state_ == State::fresh);
  state_ = State::ended;
  if (connection_ == nullptr) return;
  status_ = answer->status;
  Sender& sender = connection_->sender();
  append_head_end(sender.out(), connection_->set().date(),
                  connection_->settle_end(request_, BodyFraming::length));
  bool head_only = request_.method == Method::head || !status_has_body(answer->status);
  sender.add_canned(std::move(answer), head_only);
  connection_->pump();
}

void ClientExchange::send_file(Head head, SharedFd file, uint64_t offset, uint64_t length) {
  CHECK(state_ == State::fresh);
  state_ = State::ended;
  if (connection_ == nullptr) return;
  if (put_head(head, length) && length > 0)
    connection_->sender().add_file(std::move(file), offset, offset + length, {});
  connection_->pump();
}

void ClientExchange::start(Head head, std::optional<uint64_t> length) {
  CHECK(state_ == State::fresh);
  state_ = State::started;
  if (connection_ == nullptr) return;
  sends_body_ = put_head(head, length);
  body_left_ = length;
  connection_->pump();
}

Task<Status> ClientExchange::write_file(SharedFd file, uint64_t begin, uint64_t end) {
  Completion<Status> done;
  begin_write_file(std::move(file), begin, end, done);
  co_return co_await done;
}

Task<Status> ClientExchange::write(std::string bytes) {
  Completion<Status> done;
  begin_write(std::move(bytes), done);
  co_return co_await done;
}

// Whether bytes are to be sent; else `done` is complete already.
bool ClientExchange::admit(uint64_t size, Completion<Status>& done) {
  CHECK(state_ != State::fresh && writer_ == nullptr);
  if (connection_ == nullptr || state_ == State::ended) {
    done.complete(client_left());
  } else if (!sends_body_ || size == 0) {
    done.complete(Status());
  } else if (body_left_ && size > *body_left_) {
    loop_.logger().error("an answer's body is longer than its head said");
    connection_->cut();
    done.complete(fail(Errc::internal, "the body is longer than the answer's head said"));
  } else {
    if (body_left_) *body_left_ -= size;
    writer_ = &done;
    return true;
  }
  return false;
}

void ClientExchange::put_chunk_head(uint64_t size) {
  if (is_chunked_) fmt::format_to(std::back_inserter(connection_->sender().out()), "{:x}\r\n", size);
}

void ClientExchange::begin_write_file(SharedFd file, uint64_t begin, uint64_t end, Completion<Status>& done) {
  if (!admit(end - begin, done)) return;
  put_chunk_head(end - begin);
  connection_->sender().add_file(std::move(file), begin, end, is_chunked_ ? "\r\n" : "");
  connection_->pump();
}

void ClientExchange::begin_write(std::string bytes, Completion<Status>& done) {
  if (!admit(bytes.size(), done)) return;
  put_chunk_head(bytes.size());
  if (is_chunked_) bytes += "\r\n";
  connection_->sender().add_body(std::move(bytes));
  connection_->pump();
}

void ClientExchange::finish() {
  CHECK(state_ != State::fresh && writer_ == nullptr);
  bool is_first_end = state_ == State::started;
  state_ = State::ended;
  if (connection_ == nullptr || !is_first_end) return;
  if (sends_body_ && body_left_.value_or(0) != 0) {
    loop_.logger().error("an answer's body is shorter than its head said");
    return connection_->cut();
  }
  if (sends_body_ && is_chunked_) connection_->sender().out() += "0\r\n\r\n";
  connection_->pump();
}

void ClientExchange::abort() {
  bool is_first_end = state_ != State::ended;
  state_ = State::ended;
  if (connection_ != nullptr && is_first_end) connection_->cut();
}

void ClientExchange::on_flushed() {
  if (writer_ != nullptr) std::exchange(writer_, nullptr)->complete(Status());
}

}  // namespace entrepot::http
