#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/loop/event_loop.h"
#include "base/result.h"
#include "base/shared_fd.h"
#include "base/task/task.h"
#include "proxy/http/message.h"

namespace entrepot::http {

/// An answer that is ready to go, made once and sent many times: the head's bytes without `Date`,
/// `Connection` and the final empty line, and the body, which may belong to something larger. Immutable,
/// shared between connections of one loop or of many.
struct CannedAnswer {
  int status = 200;
  std::string head;  // "HTTP/1.1 200 OK\r\nContent-Type: …\r\nContent-Length: …\r\n"
  std::shared_ptr<const std::string> body;
};
std::shared_ptr<const CannedAnswer> make_canned(const Head& head, std::shared_ptr<const std::string> body);
std::shared_ptr<const CannedAnswer> make_canned(const Head& head, std::string body);

/// What the access log says beyond the request line; the handler fills it in.
struct AccessNote {
  std::string upstream;
  std::string repository;
  std::string reference;               // tag or digest
  std::string cache_status;            // RFC 9211, without the cache's name
  int64_t upstream_milliseconds = -1;  // -1 = no upstream was asked
};

/// One request and the answer to it, from dispatch until the answer is finished. Created by the connection,
/// given to the handler; loop's thread only. Exactly one of these ways:
///
///   send / send_canned / send_file            the whole answer at once; nothing further to do. The hit path.
///   start, then write_file / write any number of times, then finish or abort        for flows
///
/// A HEAD request gets the head alone, whichever way is taken (start + finish for flows). The exchange
/// outlives its client: when the connection breaks, every call still works, and `write…` gives `cancelled`.
/// It must be finished, sent or aborted before the last reference goes, else the connection is cut.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const Request& request() const = 0;
  virtual EventLoop& loop() const = 0;
  virtual AccessNote& note() = 0;
  /// The client's connection is still there.
  virtual bool is_connected() const = 0;
  /// Calls `left` once, on the loop, when the connection breaks before the answer is complete, or the client
  /// closes his side of it: for flows that wait for something else than the client. Half a close need not
  /// mean that he has stopped reading, and he is sent what there is; but nobody goes on working for him
  /// alone. At once when the connection has gone already. Replaces what was set before.
  virtual void on_client_left(std::move_only_function<void()> left) = 0;

  virtual void send(Head head, std::string body) = 0;
  virtual void send_canned(std::shared_ptr<const CannedAnswer> answer) = 0;
  /// `length` bytes of `file` from `offset`, as the whole body.
  virtual void send_file(Head head, SharedFd file, uint64_t offset, uint64_t length) = 0;

  /// Sends the head. `length`: the body's size; nothing = not known: chunked for HTTP/1.1; close-delimited
  /// for HTTP/1.0.
  virtual void start(Head head, std::optional<uint64_t> length) = 0;
  /// Sends bytes [begin, end) of `file` as the next part of the body, at the client's pace. Gives back when
  /// they are handed to the kernel. `cancelled` when the client left.
  virtual Task<Status> write_file(SharedFd file, uint64_t begin, uint64_t end) = 0;
  virtual Task<Status> write(std::string bytes) = 0;
  /// The body is complete. REQUIRES: as many bytes as `length` said.
  virtual void finish() = 0;
  /// The body cannot be completed: the connection is cut so that the client sees a short body (no last chunk,
  /// RST), never padded. Before `start` it just closes.
  virtual void abort() = 0;
};

/// Answers requests. One per listener and loop; `handle` is called on the loop's thread and returns at once.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void handle(std::shared_ptr<Exchange> exchange) = 0;
};

}  // namespace entrepot::http
