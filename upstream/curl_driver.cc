#include "upstream/curl_driver.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "upstream/curl_exchange.h"

namespace entrepot::upstream {
namespace {

constexpr size_t kMaxConnecting = 4;
constexpr std::chrono::milliseconds kTurn{3};
constexpr int kResumedInATurn = 2;
constexpr size_t kMaxQueued = 1024;

// The port stands at the same place in both families.
uint16_t port_of(const sockaddr& address) {
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  uint16_t port = 0;
  std::memcpy(&port, reinterpret_cast<const char*>(&address) + offsetof(sockaddr_in, sin_port), sizeof port);
  return ntohs(port);
}

}  // namespace

bool init_curl() {
  constexpr unsigned kOldest = 0x075300;  // 7.83.0
  return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK &&
         curl_version_info(CURLVERSION_NOW)->version_num >= kOldest;
}

std::string system_ca_file() {
  const char* file = curl_version_info(CURLVERSION_NOW)->cainfo;
  return file == nullptr ? "" : file;
}

std::unique_ptr<Transport> make_curl_transport(EventLoop& loop, CurlOptions options) {
  return std::make_unique<CurlDriver>(loop, std::move(options));
}

CurlDriver::CurlDriver(EventLoop& loop, CurlOptions options)
    : loop_(loop),
      options_(std::move(options)),
      timer_(loop, "curl timer"),
      budget_member_(options_.budget.join(loop, [this] { launch_queued(); })) {}

CurlDriver::~CurlDriver() {
  CHECK(running_.empty() && queue_.empty() && resolving_.empty());
  // Calls on_socket for the connections it closes.
  if (multi_ != nullptr) curl_multi_cleanup(multi_);
}

void CurlDriver::make_multi() {
  multi_ = curl_multi_init();
  CHECK(multi_ != nullptr);
  auto connections = static_cast<long>(options_.budget.limit());
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlDriver::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlDriver::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  // HTTP/2 as well has one request at a time on a connection. With multiplexing this libcurl (7.88) takes a
  // connection of HTTP/1.1 in the middle of a body for one of HTTP/2, once the host has shown that it knows
  // that: its bytes would be read as another's answer.
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, connections);
}

std::unique_ptr<Transfer> CurlDriver::start(TransportRequest request) {
  CHECK(!is_inside_curl_);
  auto exchange = std::make_unique<CurlExchange>(*this, std::move(request));
  if (is_shut_down_) {
    exchange->fail(Errc::shutting_down, "shutting down");
  } else if (!options_.policy.may_ask(exchange->url())) {
    options_.refused_connections.add();
    exchange->fail(Errc::policy_refused, "the address is private and not allowed");
  } else if (!options_.policy.knows_a_proxy() && needs_look_up(exchange->url().host())) {
    resolve(*exchange);
  } else {
    admit(*exchange);
  }
  return exchange;
}

void CurlDriver::resolve(CurlExchange& exchange) {
  auto done = [this, &exchange](Result<Addresses> addresses) {
    if (addresses) {
      resolving_.erase(&exchange);
      exchange.set_addresses(*addresses);
      admit(exchange);
    } else {
      if (addresses.error().code == Errc::overloaded) options_.overloads.add();
      exchange.fail(addresses.error().code, addresses.error().message);
    }
  };
  resolving_.insert(&exchange);
  exchange.wait_for_addresses(options_.resolver.resolve(exchange.url().host(), std::move(done)));
}

void CurlDriver::admit(CurlExchange& exchange) {
  if (take_room(exchange)) {
    launch(exchange);
  } else if (queue_.size() >= kMaxQueued) {
    options_.overloads.add();
    exchange.fail(Errc::overloaded, "too many requests wait for a connection");
  } else {
    queue_.push_back(&exchange);
    exchange.wait_in_queue();
  }
}

bool CurlDriver::take_room(const CurlExchange& exchange) {
  if (connecting_ >= kMaxConnecting) return false;
  TransferBudget& budget = options_.budget;
  if (budget.try_take(exchange.transfer_class())) return true;
  budget.wait(budget_member_);
  return budget.try_take(exchange.transfer_class());
}

void CurlDriver::launch(CurlExchange& exchange) {
  if (multi_ == nullptr) make_multi();
  running_.insert(&exchange);
  give_to_curl(exchange);
}

void CurlDriver::dial_on(CurlExchange& exchange) {
  CHECK(!is_inside_curl_);
  curl_multi_remove_handle(multi_, exchange.easy());
  exchange.leave_connecting();
  give_to_curl(exchange);
}

void CurlDriver::give_to_curl(CurlExchange& exchange) {
  CURL* easy = exchange.prepare();
  ++connecting_;
  if (easy == nullptr || curl_multi_add_handle(multi_, easy) != CURLM_OK)
    exchange.fail(Errc::upstream_failed, "libcurl does not take the request");
}

// In their order, but a transfer whose class finds no room lets others behind it pass.
void CurlDriver::launch_queued() {
  if (is_shut_down_) return;
  for (auto at = queue_.begin(); at != queue_.end() && connecting_ < kMaxConnecting;) {
    CurlExchange* exchange = *at;
    if (!take_room(*exchange)) {
      ++at;
      continue;
    }
    queue_.erase(at);
    launch(*exchange);
    at = queue_.begin();  // a launch that fails comes back here
  }
}

// curl reads from all that have been resumed in one go.
void CurlDriver::resume_soon(CurlExchange& exchange) {
  if (std::ranges::find(resuming_, &exchange) != resuming_.end()) return;
  resuming_.push_back(&exchange);
  if (resuming_.size() == 1) post_resume();
}

void CurlDriver::post_resume() {
  loop_.post([this, alive = std::weak_ptr<bool>(is_alive_)] {
    if (!alive.expired()) resume_some();
  });
}

void CurlDriver::resume_some() {
  for (int i = 0; i < kResumedInATurn && !resuming_.empty(); ++i) {
    CurlExchange* exchange = resuming_.front();
    resuming_.pop_front();
    exchange->resume();
  }
  if (!resuming_.empty()) post_resume();
}

void CurlDriver::take_out(CurlExchange& exchange) {
  CHECK(!is_inside_curl_);
  std::erase(resuming_, &exchange);
  if (running_.erase(&exchange) > 0) {
    exchange.leave_connecting();
    options_.budget.give_back(exchange.transfer_class());
    if (exchange.easy() != nullptr) {
      exchange.leave_connection();
      curl_multi_remove_handle(multi_, exchange.easy());
    }
  } else if (resolving_.erase(&exchange) == 0) {
    std::erase(queue_, &exchange);
  }
  launch_queued();
}

bool CurlDriver::may_open(const Url& url, const sockaddr& address) const {
  std::optional<Address> binary = Address::of(address);
  if (binary && options_.policy.may_dial(url, *binary, port_of(address))) return true;
  options_.refused_connections.add();
  return false;
}

void CurlDriver::shut_down() {
  is_shut_down_ = true;
  std::vector<CurlExchange*> all(queue_.begin(), queue_.end());
  all.insert(all.end(), resolving_.begin(), resolving_.end());
  all.insert(all.end(), running_.begin(), running_.end());
  fail_all(all, Error{Errc::shutting_down, "shutting down"});
}

void CurlDriver::fail_all(const std::vector<CurlExchange*>& exchanges, const Error& error) {
  for (CurlExchange* exchange : exchanges) exchange->fail(error.code, error.message);
}

int CurlDriver::on_timer(CURLM*, long timeout_ms, void* driver) {
  auto* self = static_cast<CurlDriver*>(driver);
  if (timeout_ms < 0) {
    self->timer_.cancel();
  } else {
    // Zero is right: the timer never fires inside this callback.
    self->timer_.start(Duration(timeout_ms), [self] { self->drive(CURL_SOCKET_TIMEOUT, 0); });
  }
  return 0;
}

int CurlDriver::on_socket(CURL*, curl_socket_t fd, int what, void* driver, void*) {
  auto* self = static_cast<CurlDriver*>(driver);
  if (what == CURL_POLL_REMOVE) {
    // The descriptor is curl's and may come straight back as another's: nothing of it is kept.
    self->watches_.erase(fd);
  } else {
    self->watch(fd, what);
  }
  return 0;
}

void CurlDriver::watch(curl_socket_t fd, int what) {
  std::unique_ptr<PollWatch>& watch = watches_[fd];
  if (!watch) {
    auto on_ready = [this, fd](int mask, bool is_error) {
      // It is reported again in the next turn.
      if (!is_error && is_turn_over()) return;
      int flags = 0;
      if ((mask & PollWatch::kReadable) != 0) flags |= CURL_CSELECT_IN;
      if ((mask & PollWatch::kWritable) != 0) flags |= CURL_CSELECT_OUT;
      if (is_error) flags = CURL_CSELECT_ERR;
      drive(fd, flags);
    };
    watch = std::make_unique<PollWatch>(loop_, "curl socket", fd, std::move(on_ready));
  }
  int mask = 0;
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) mask |= PollWatch::kReadable;
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) mask |= PollWatch::kWritable;
  watch->want(mask);
}

// Many bodies may be there at once, each with a quarter of a megabyte: what does not fit into a few
// milliseconds waits for the next turn of the loop.
bool CurlDriver::is_turn_over() {
  auto now = std::chrono::steady_clock::now();
  if (!turn_ends_) {
    turn_ends_ = now + kTurn;
    loop_.post([this, alive = std::weak_ptr<bool>(is_alive_)] {
      if (!alive.expired()) turn_ends_.reset();
    });
  }
  return now > *turn_ends_;
}

void CurlDriver::drive(curl_socket_t fd, int mask) {
  int running = 0;
  is_inside_curl_ = true;
  CURLMcode code = curl_multi_socket_action(multi_, fd, mask, &running);
  is_inside_curl_ = false;
  collect();
  if (code != CURLM_OK) {
    loop_.logger().error("upstream {}: libcurl failed: {}", options_.upstream, curl_multi_strerror(code));
    std::deque<CurlExchange*> queued = std::exchange(queue_, {});
    std::vector<CurlExchange*> doubtful(running_.begin(), running_.end());
    fail_all(doubtful, Error{Errc::upstream_failed, "libcurl failed"});
    curl_multi_cleanup(std::exchange(multi_, nullptr));
    watches_.clear();
    queue_ = std::move(queued);
  }
  launch_queued();
}

void CurlDriver::collect() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode result = message->data.result;
    CurlExchange* exchange = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
    if (exchange->may_dial_on(result)) {
      dial_on(*exchange);
      continue;
    }
    curl_multi_remove_handle(multi_, message->easy_handle);
    running_.erase(exchange);
    std::erase(resuming_, exchange);
    exchange->leave_connecting();
    options_.budget.give_back(exchange->transfer_class());
    exchange->end(result);
  }
}

}  // namespace entrepot::upstream
