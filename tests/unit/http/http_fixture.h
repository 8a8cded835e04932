#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/disk/disk_pool.h"
#include "base/log.h"
#include "base/loop/loop_group.h"
#include "base/metrics.h"
#include "base/shared_fd.h"
#include "proxy/http/server.h"

namespace entrepot::http {

/// A clock that stands until it is told to go on.
class ManualClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return MonotonicTime(Duration(milliseconds_.load())); }
  WallTime wall() const override { return WallTime(std::chrono::seconds(784111777)); }  // RFC 9110's example
  void advance(Duration by) { milliseconds_ += by.count(); }

 private:
  std::atomic<int64_t> milliseconds_{1'000'000};
};

class FunctionHandler final : public Handler {
 public:
  using Function = std::function<void(std::shared_ptr<Exchange>)>;
  explicit FunctionHandler(Function function) : function_(std::move(function)) {}
  void handle(std::shared_ptr<Exchange> exchange) override { function_(std::move(exchange)); }

 private:
  Function function_;
};

struct Answer {
  int status = 0;
  std::string head;
  std::string body;
  bool is_whole = false;  // the body ended as its head said
  std::string header(std::string_view name) const;
  bool has(std::string_view name) const;
};

/// A client that blocks, on a socket of its own. Waits at most half a minute for anything.
class Client {
 public:
  explicit Client(uint16_t port, int receive_buffer = 0);
  explicit Client(const std::string& unix_path);
  ~Client();
  Client(Client&& other) noexcept;
  Client(const Client&) = delete;

  int fd() const { return fd_.get(); }
  /// False when the other side no longer takes it.
  bool send(std::string_view bytes);
  void half_close();
  /// Closes; with unread data or `reset` by RST.
  void close(bool reset = false);
  Answer read_answer(bool is_head = false);
  /// All until the end; `was_reset` says how it ended.
  std::string read_to_end();
  bool was_reset() const { return was_reset_; }
  /// The other side has closed and all was read.
  bool is_at_end();
  bool receive_some();
  std::string& unread() { return unread_; }

 private:
  UniqueFd fd_;
  std::string unread_;
  bool was_reset_ = false;
};

/// A server on 127.0.0.1 with a handler that is a function.
class HttpFixture : public testing::Test {
 protected:
  HttpFixture();
  ~HttpFixture() override;

  struct Setup {
    size_t loops = 1;
    Limits limits;
    size_t max_connections = 1000;
    std::string unix_path;
    int log_fd = -1;
  };
  void serve(FunctionHandler::Function function, Setup setup);
  void serve(FunctionHandler::Function function) { serve(std::move(function), Setup()); }
  void stop();
  /// Returns when every loop has ended the callback it was in.
  void settle();
  Client connect() { return Client(listener_->port()); }
  Answer get(const std::string& path = "/");
  double metric(const std::string& name, const Labels& labels) {
    return metrics_.counter(name, "", labels).value();
  }

  ManualClock clock_;
  Metrics metrics_;
  std::optional<Logger> logger_;
  std::unique_ptr<FunctionHandler> handler_;
  std::unique_ptr<LoopGroup> loops_;
  std::unique_ptr<ThreadedDiskPool> disk_;
  std::unique_ptr<Server> server_;
  const Listener* listener_ = nullptr;
};

/// A file without a name that holds `bytes`.
SharedFd file_of(std::string_view bytes);
/// Bytes that do not repeat soon.
std::string pattern(size_t size, uint32_t seed = 1);
std::string request_for(const std::string& path);

}  // namespace entrepot::http
