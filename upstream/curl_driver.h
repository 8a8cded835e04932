#pragma once

#include <curl/curl.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/loop/poll_watch.h"
#include "base/loop/timer.h"
#include "upstream/curl_transport.h"

namespace entrepot::upstream {

class CurlExchange;

/// The pump: a curl multi handle on an event loop, with the connections of one origin. A request first
/// waits in `resolving_` for the addresses of its host, then in `queue_` while the budget gives nothing or
/// `kMaxConnecting` are on their way to a connection.
///
/// libcurl looks no name up: it would start a thread for each look-up and join it on the loop. Only where a
/// proxy is configured it does, since it alone knows which of the two names is needed.
///
/// No flow runs inside a curl callback: flows are resumed when the libuv callback around `drive` ends. So
/// everything that flows call (start, read, destroying a transfer) may call curl, and curl's callbacks here
/// only note what happened.
///
/// The first transfer makes the multi handle. If socket_action fails, all transfers are in doubt: they fail,
/// and a new handle is made.
class CurlDriver final : public Transport {
 public:
  CurlDriver(EventLoop& loop, CurlOptions options);
  ~CurlDriver() override;

  std::unique_ptr<Transfer> start(TransportRequest request) override;
  void shut_down() override;

  // For CurlExchange.
  const CurlOptions& options() const { return options_; }
  EventLoop& loop() const { return loop_; }
  /// The exchange has a connection, or needs none any more. May be called inside curl's callbacks.
  void has_connected() { --connecting_; }
  /// The connect policy's word on an address that curl is about to dial for `url`.
  bool may_open(const Url& url, const sockaddr& address) const;
  /// The exchange ends before curl is done with it: out of wherever it waits or the multi handle.
  void take_out(CurlExchange& exchange);
  /// The exchange gives up the address that it waits for, and dials the next.
  void dial_on(CurlExchange& exchange);
  bool is_inside_curl() const { return is_inside_curl_; }
  /// The exchange is paused, and goes on in a turn of the loop in which not too many others do.
  void resume_soon(CurlExchange& exchange);

 private:
  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* driver, void* known);
  static int on_timer(CURLM* multi, long timeout_ms, void* driver);

  void resolve(CurlExchange& exchange);
  /// The addresses are there, or not needed: to curl or into the queue.
  void admit(CurlExchange& exchange);
  /// Takes from the budget; false, and told when to try again, if there is nothing.
  bool take_room(const CurlExchange& exchange);
  void launch(CurlExchange& exchange);
  void give_to_curl(CurlExchange& exchange);
  void launch_queued();
  void make_multi();
  void watch(curl_socket_t fd, int what);
  /// The only way into socket_action: acts, then collects what finished, also after time-outs.
  void drive(curl_socket_t fd, int mask);
  bool is_turn_over();
  void resume_some();
  void post_resume();
  void collect();
  static void fail_all(const std::vector<CurlExchange*>& exchanges, const Error& error);

  EventLoop& loop_;
  const CurlOptions options_;
  CURLM* multi_ = nullptr;
  Timer timer_;
  std::unordered_map<curl_socket_t, std::unique_ptr<PollWatch>>
      watches_;  // exactly what curl asked for and did not remove
  std::unordered_set<CurlExchange*> running_;
  std::unordered_set<CurlExchange*> resolving_;
  std::deque<CurlExchange*> queue_;
  std::deque<CurlExchange*> resuming_;
  size_t connecting_ = 0;
  const size_t budget_member_;
  bool is_inside_curl_ = false;
  bool is_shut_down_ = false;
  std::optional<std::chrono::steady_clock::time_point> turn_ends_;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);  // for what is posted
};

}  // namespace entrepot::upstream
