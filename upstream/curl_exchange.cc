#include "upstream/curl_exchange.h"
#include "upstream/curl_cause.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "upstream/curl_driver.h"

namespace entrepot::upstream {
namespace {

// What one turn of the loop may have to take in from a transfer, at most: pages of fresh memory cost time.
constexpr size_t kMostWaiting = 256 * 1024;
// There may be dozens of these, and each goes at its client's pace: little memory, and little work at once.
constexpr size_t kMostWaitingOfBypass = 128 * 1024;

size_t most_waiting(TransferClass transfer_class) {
  return transfer_class == TransferClass::bypass ? kMostWaitingOfBypass : kMostWaiting;
}
// What a connection is waited for when there is another address: then SYN is sent a second time (RFC 6298).
constexpr Duration kPatienceWithAnAddress{1'000};
constexpr size_t kMaxAddresses = 8;

// What must come within stall_timeout: else a peer that drips keeps a connection and a fill for ever.
constexpr size_t kLeastProgress = 64 * 1024;

bool is_broken_connection(CURLcode result) {
  return result == CURLE_GOT_NOTHING || result == CURLE_RECV_ERROR || result == CURLE_SEND_ERROR ||
         result == CURLE_PARTIAL_FILE || result == CURLE_HTTP2 || result == CURLE_HTTP2_STREAM;
}

}  // namespace

CurlExchange::CurlExchange(CurlDriver& driver, TransportRequest request)
    : driver_(driver), request_(std::move(request)), deadline_(driver.loop(), "curl exchange") {}

CurlExchange::~CurlExchange() {
  if (state_ != State::ended) driver_.take_out(*this);
  wake(false);
}

Task<Result<ResponseHead>> CurlExchange::head() {
  while (!has_head_ && state_ != State::ended) {
    Completion<bool> woken;
    waiter_ = &woken;
    bool is_alive = co_await woken;
    if (!is_alive) co_return entrepot::fail(Errc::cancelled, "cancelled");
  }
  if (!has_head_) co_return entrepot::fail(*failure_);
  co_return std::move(*head_);
}

Task<Result<std::string>> CurlExchange::read() {
  while (body_.is_empty() && state_ != State::ended) {
    Completion<bool> woken;
    waiter_ = &woken;
    bool is_alive = co_await woken;
    if (!is_alive) co_return entrepot::fail(Errc::cancelled, "cancelled");
  }
  if (!body_.is_empty()) {
    std::string chunk = body_.take();
    if (is_paused_ && body_.size() < most_waiting(transfer_class()) / 2) driver_.resume_soon(*this);
    co_return chunk;
  }
  if (failure_) co_return entrepot::fail(*failure_);
  co_return std::string();
}

void CurlExchange::wait_for_addresses(Resolver::Ticket ticket) {
  state_ = State::resolving;
  ticket_ = std::move(ticket);
  deadline_.start(driver_.options().connect_timeout, [this] { on_deadline(); });
}

void CurlExchange::set_addresses(const Addresses& addresses) {
  ticket_.reset();
  size_t count = std::min(addresses.size(), kMaxAddresses);
  addresses_.assign(addresses.begin(), addresses.begin() + static_cast<ptrdiff_t>(count));
}

// The next of each family, between which curl chooses (RFC 8305). Of several of one family this libcurl
// (7.88) dials the second only when its time for all of them is over.
void CurlExchange::take_addresses() {
  if (addresses_.empty()) return;
  look_up_answer_ = "+" + url().authority();
  char separator = ':';
  // The system's order counts (RFC 6724): curl begins with the first.
  bool begins_with_v6 = addresses_.front().find(':') != std::string::npos;
  for (bool v6 : {begins_with_v6, !begins_with_v6}) {
    auto is_wanted = [v6](const std::string& address) {
      return (address.find(':') != std::string::npos) == v6;
    };
    auto found = std::ranges::find_if(addresses_, is_wanted);
    if (found == addresses_.end()) continue;
    look_up_answer_ += separator;
    look_up_answer_ += v6 ? "[" + *found + "]" : *found;
    separator = ',';
    addresses_.erase(found);
  }
}

bool CurlExchange::has_tcp_connection() const {
  curl_off_t microseconds = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_CONNECT_TIME_T, &microseconds);
  return microseconds > 0;
}

bool CurlExchange::may_dial_on(CURLcode result) const {
  if (addresses_.empty()) return false;
  // A kept connection that turned out to be dead, and none to be had in its place: curl had begun to wait.
  if (state_ == State::waiting && !has_response_) return result == CURLE_COULDNT_CONNECT;
  if (state_ != State::connecting) return false;
  return result == CURLE_COULDNT_CONNECT || (result == CURLE_OPERATION_TIMEDOUT && !has_tcp_connection());
}

void CurlExchange::wait_in_queue() {
  state_ = State::queued;
  deadline_.start(driver_.options().header_timeout, [this] { on_deadline(); });
}

CURL* CurlExchange::prepare() {
  state_ = State::connecting;
  is_connecting_ = true;
  was_refused_ = false;
  deadline_.cancel();
  take_addresses();
  if (!addresses_.empty()) deadline_.start(kPatienceWithAnAddress, [this] { on_deadline(); });
  easy_.reset(curl_easy_init());
  headers_.reset();
  resolve_.reset();
  if (!easy_ || !set_headers() || !set_look_up()) return nullptr;
  set_options();
  set_connection_options();
  set_callbacks();
  return easy_.get();
}

void CurlExchange::leave_connecting() {
  if (std::exchange(is_connecting_, false)) driver_.has_connected();
}

void CurlExchange::leave_connection() {
  bool little_is_left = state_ == State::body && !may_be_long_;
  if (!little_is_left) curl_easy_setopt(easy_.get(), CURLOPT_FORBID_REUSE, 1L);
}

void CurlExchange::end(CURLcode result) {
  bool was_asked = state_ == State::waiting || state_ == State::body;
  state_ = State::ended;
  is_paused_ = false;  // what has come may still be read, and nothing is to go on
  ticket_.reset();
  deadline_.cancel();
  if (result != CURLE_OK && !failure_) {
    broke_before_response_ = !has_response_ && is_broken_connection(result);
    failure_ = was_asked && is_broken_connection(result) ? cut(result) : error_of(result);
  } else if (!has_head_ && !failure_) {
    failure_ = error(Errc::upstream_cut, "the connection broke inside the head");
  }
  easy_.reset();
  headers_.reset();
  resolve_.reset();
  wake(true);
}

void CurlExchange::fail(Errc code, std::string_view cause) {
  failure_ = error(code, cause);
  if (state_ != State::idle) driver_.take_out(*this);
  end(CURLE_OK);
}

void CurlExchange::wake(bool is_alive) {
  if (waiter_ != nullptr) std::exchange(waiter_, nullptr)->complete(is_alive);
}

void CurlExchange::begin_progress() {
  progress_since_ = driver_.loop().clock().monotonic();
  progress_ = 0;
}

void CurlExchange::resume() {
  CHECK(!driver_.is_inside_curl());
  is_paused_ = false;
  begin_progress();
  if (state_ != State::body) return;
  // May deliver what curl holds, by on_body, before it returns; nobody waits for it now.
  if (curl_easy_pause(easy_.get(), CURLPAUSE_CONT) != CURLE_OK)
    fail(Errc::upstream_failed, "libcurl does not go on");
}

void CurlExchange::on_deadline() {
  const CurlOptions& options = driver_.options();
  if (state_ == State::resolving)
    return fail(Errc::upstream_timeout, "could not resolve " + url().host() + " in time");
  if (state_ == State::connecting) {
    if (may_dial_on(CURLE_OPERATION_TIMEDOUT)) driver_.dial_on(*this);
    return;
  }
  if (state_ == State::queued) return fail(Errc::overloaded, "no connection became free");
  if (state_ != State::body) return fail(Errc::upstream_timeout, "no response in time");
  auto spent = std::chrono::duration_cast<Duration>(driver_.loop().clock().monotonic() - progress_since_);
  if (!is_paused_ && spent >= options.stall_timeout) {
    may_be_long_ = true;  // who is silent now may be gone
    return fail(Errc::upstream_timeout, progress_ == 0 ? "the body stalled" : "the body is too slow");
  }
  Duration left = is_paused_ ? options.stall_timeout : options.stall_timeout - spent;
  deadline_.start(left + Duration(1), [this] { on_deadline(); });
}

size_t CurlExchange::on_header(char* data, size_t size, size_t count, void* self) {
  auto* exchange = static_cast<CurlExchange*>(self);
  size_t bytes = size * count;
  exchange->has_response_ = true;
  HeadParser::State state = exchange->parser_.add_line({data, bytes});
  if (state == HeadParser::State::bad) {
    exchange->failure_ = exchange->error(Errc::upstream_failed, exchange->parser_.problem());
    return 0;
  }
  if (state == HeadParser::State::complete && !exchange->has_head_) {
    exchange->head_ = exchange->parser_.take();
    exchange->may_be_long_ = exchange->head_->content_length.value_or(kLeastProgress) >= kLeastProgress;
    exchange->has_head_ = true;
    exchange->state_ = State::body;
    exchange->begin_progress();
    exchange->deadline_.start(exchange->driver_.options().stall_timeout,
                              [exchange] { exchange->on_deadline(); });
    exchange->wake(true);
  }
  return bytes;
}

size_t CurlExchange::on_body(char* data, size_t size, size_t count, void* self) {
  auto* exchange = static_cast<CurlExchange*>(self);
  size_t bytes = size * count;
  if (exchange->body_.size() + bytes > most_waiting(exchange->transfer_class())) {
    exchange->is_paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  exchange->body_.append({data, bytes});
  exchange->driver_.options().received_bytes.add(static_cast<double>(bytes));
  exchange->progress_ += bytes;
  if (exchange->progress_ >= kLeastProgress) exchange->begin_progress();
  exchange->wake(true);
  return bytes;
}

curl_socket_t CurlExchange::on_open_socket(void* self, curlsocktype, curl_sockaddr* address) {
  auto* exchange = static_cast<CurlExchange*>(self);
  exchange->leave_connecting();
  if (!exchange->driver_.may_open(exchange->url(), address->addr)) {
    exchange->was_refused_ = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int CurlExchange::on_request(void* self, char*, char*, int, int) {
  auto* exchange = static_cast<CurlExchange*>(self);
  exchange->leave_connecting();
  exchange->state_ = State::waiting;
  exchange->deadline_.start(exchange->driver_.options().header_timeout,
                            [exchange] { exchange->on_deadline(); });
  return CURL_PREREQFUNC_OK;
}

// curl has the addresses; should it lose them, an error is better than a look-up on the loop.
int CurlExchange::on_look_up(void*, void*, void*) { return 1; }

CURLcode CurlExchange::on_ssl_context(CURL*, void* context, void* self) {
  static_cast<CurlExchange*>(self)->driver_.options().ca.use_in(context);
  return CURLE_OK;
}

Error CurlExchange::error(Errc code, std::string_view cause) const {
  return Error{code, request_.url.authority() + ": " + std::string(cause)};
}

// A connection that broke when the request was on its way. libcurl gives the same code to a chunked body that
// makes no sense, and no other way to tell than its message.
Error CurlExchange::cut(CURLcode result) const {
  std::string_view cause = curl_cause(result, curl_error_);
  bool is_nonsense = cause.find("chunked-encoding") != std::string_view::npos;
  return error(is_nonsense ? Errc::upstream_failed : Errc::upstream_cut, cause);
}

Error CurlExchange::error_of(CURLcode result) const {
  std::string_view cause = curl_cause(result, curl_error_);
  if (was_refused_ && result == CURLE_COULDNT_CONNECT)
    return error(Errc::policy_refused, "the address is private and not allowed");
  switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_RECV_ERROR:  // before the request: a proxy that gives no tunnel
    case CURLE_SEND_ERROR:
      return error(Errc::upstream_unreachable, cause);
    case CURLE_OPERATION_TIMEDOUT:
      return error(Errc::upstream_timeout, "no connection in time");
    default:
      return error(Errc::upstream_failed, cause);
  }
}

}  // namespace entrepot::upstream
