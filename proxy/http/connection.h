#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/loop/poll_watch.h"
#include "base/unique_fd.h"
#include "proxy/http/access_log.h"
#include "proxy/http/channel.h"
#include "proxy/http/connection_set.h"
#include "proxy/http/parser.h"
#include "proxy/http/sender.h"
#include "proxy/http/service.h"

namespace entrepot::http {

class ClientExchange;

/// One client's socket: requests in, answers out, one after the other. A pump: everything happens in `step`,
/// which runs until it must wait for the socket, the disk or the handler. Made and destroyed by its
/// ConnectionSet; loop's thread only.
///
///     state      waits for                                goes to
///     greeting   the TLS handshake                        reading: done; lingering, answering (plain HTTP,
///                                                         which is told so), closed: failed, too slow
///     reading    a whole request head, and, of listeners  answering: it came, or was refused
///                that read it, its body
///                                                         closed: end of file, idle too long, drained
///     answering  the handler, room in the socket,         reading: answered, kept alive
///                pages of the file, its turn              lingering: answered, to be closed
///                                                         closed: the client left, cut
///     lingering  the client's end of file, 2 s at most    closed
///     closed     nothing; its set destroys it
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(ConnectionSet& set, UniqueFd socket, std::string peer, std::shared_ptr<Service> service);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // For the set.

  void begin();
  /// A turn from the set's queue; gives back how many bytes it sent.
  uint64_t take_turn();
  void check_deadline(MonotonicTime now);
  /// Close as soon as that breaks nothing.
  void drain();
  /// Closes now. A body that is under way ends with RST, so that the client cannot take it for whole.
  void cut();
  bool is_closed() const { return state_ == State::closed; }
  Service& service() const { return *service_; }
  /// Where the set keeps it.
  using Place = std::list<std::shared_ptr<Connection>>::iterator;
  void set_place(Place place) { place_ = place; }
  Place place() const { return place_; }

  // For the exchange.

  Sender& sender() { return sender_; }
  ConnectionSet& set() const { return set_; }
  /// What the head of the answer says about the connection; and so it will be.
  ConnectionLine settle_end(const Request& request, BodyFraming framing);
  /// There is more to send, or the answer has ended.
  void pump();

 private:
  static constexpr MonotonicTime kNever = MonotonicTime::max();
  enum class State { greeting, reading, answering, lingering, closed };

  void on_ready(int mask, bool is_error);
  void want(int mask);
  void run(bool may_dispatch, uint64_t slice);
  bool step();
  bool step_greeting();
  bool step_reading();
  bool receive();
  bool step_body();
  void dispatch();
  void refuse(const Refusal& refusal);
  bool step_answering();
  void wait_blocked();
  void start_warming();
  void on_warmed(uint64_t end, bool is_readable);
  void end_answer();
  void record(Outcome outcome);
  void begin_linger();
  bool step_lingering();
  void close(Outcome outcome);
  void wait_for_turn();
  std::string_view unread() const { return std::string_view(received_).substr(read_at_); }

  ConnectionSet& set_;
  Place place_;
  const std::shared_ptr<Service> service_;
  Channel channel_;
  const std::string peer_;
  std::optional<PollWatch> watch_;
  int mask_ = 0;

  State state_ = State::reading;
  MonotonicTime deadline_;
  bool is_running_ = false;    // step is on the stack
  bool may_dispatch_ = false;  // this run may call the handler
  int dispatches_left_ = 0;
  uint64_t slice_ = 0;    // of a file, in this run
  bool is_turn_ = false;  // this run is a turn of the set's queue
  bool is_queued_ = false;

  std::string received_;  // bytes from read_at_ on are not parsed yet
  size_t read_at_ = 0;
  bool has_news_ = false;         // received_ grew since the parser saw it
  bool is_readable_ = false;      // recv may have more
  bool is_half_closed_ = false;   // the client will send nothing more
  bool has_urgent_data_ = false;  // which nobody reads, and which would be reported again and again
  bool has_served_ = false;
  bool is_body_awaited_ = false;  // the head has come, and was accepted
  Parser parser_;

  Sender sender_;
  std::unique_ptr<ClientExchange> spare_;
  ClientExchange* current_ = nullptr;  // the answer under way; null for a refusal
  bool closes_after_ = false;
  bool is_warming_ = false;
  uint64_t progress_mark_ = 0;
  MonotonicTime answer_begun_;
  uint64_t sent_before_answer_ = 0;
};

}  // namespace entrepot::http
