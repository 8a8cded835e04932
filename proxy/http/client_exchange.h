#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/task/completion.h"
#include "proxy/http/exchange.h"

namespace entrepot::http {

class Connection;

/// The Exchange of a client's connection. Two hold it: the connection while the answer is under way, the
/// handler as long as it likes; it is destroyed, or kept by the connection for the next request, when both
/// have let go. Loop's thread only.
///
///     fresh → ended        send, send_canned, send_file, abort
///     fresh → started      start
///     started → ended      finish, abort
class ClientExchange final : public Exchange {
 public:
  ClientExchange(Connection& connection, EventLoop& loop);
  ~ClientExchange() override;

  const Request& request() const override { return request_; }
  EventLoop& loop() const override { return loop_; }
  AccessNote& note() override { return note_; }
  bool is_connected() const override { return connection_ != nullptr; }
  void on_client_left(std::move_only_function<void()> left) override;

  void send(Head head, std::string body) override;
  void send_canned(std::shared_ptr<const CannedAnswer> answer) override;
  void send_file(Head head, SharedFd file, uint64_t offset, uint64_t length) override;
  void start(Head head, std::optional<uint64_t> length) override;
  Task<Status> write_file(SharedFd file, uint64_t begin, uint64_t end) override;
  Task<Status> write(std::string bytes) override;
  void finish() override;
  void abort() override;

  // For the connection.

  Request& mutable_request() { return request_; }
  /// The handler's reference to it. Without an end to the answer when the last goes, the connection is cut.
  std::shared_ptr<Exchange> hand_out();
  /// All that was given is with the kernel.
  void on_flushed();
  bool has_ended() const { return state_ == State::ended; }
  /// A part of the head was given to the sender.
  bool has_begun() const { return status_ != 0; }
  int status() const { return status_; }
  bool is_held() const { return is_held_; }
  /// The client has closed his side.
  void client_closed();
  /// The connection lets go: the client has left, or the answer is complete and the handler still holds on.
  void leave_connection();
  /// For the next request. REQUIRES: not held.
  void reset();

 private:
  enum class State { fresh, started, ended };
  struct Releaser {
    void operator()(ClientExchange* exchange) const { exchange->on_released(); }
  };

  void on_released();
  bool put_head(const Head& head, std::optional<uint64_t> length);
  bool admit(uint64_t size, Completion<Status>& done);
  void begin_write_file(SharedFd file, uint64_t begin, uint64_t end, Completion<Status>& done);
  void begin_write(std::string bytes, Completion<Status>& done);
  void put_chunk_head(uint64_t size);

  EventLoop& loop_;
  Connection* connection_;
  std::move_only_function<void()> left_;
  Request request_;
  AccessNote note_;
  State state_ = State::fresh;
  bool is_held_ = false;
  int status_ = 0;
  bool sends_body_ = false;
  bool is_chunked_ = false;
  std::optional<uint64_t> body_left_;
  Completion<Status>* writer_ = nullptr;
};

}  // namespace entrepot::http
