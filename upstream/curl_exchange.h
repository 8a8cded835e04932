#pragma once

#include <curl/curl.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/loop/timer.h"
#include "base/task/completion.h"
#include "upstream/chunk_queue.h"
#include "upstream/client_identity.h"
#include "upstream/resolver.h"
#include "upstream/transport.h"

namespace entrepot::upstream {

class CurlDriver;

/// One transfer of a CurlDriver. Its own timer bounds every phase:
///
///     state       leaves by                                     bounded by
///     idle        wait_for_addresses, wait_in_queue, prepare, fail
///     resolving   wait_in_queue, prepare (addresses)        connect_timeout: upstream_timeout
///     queued      prepare (the driver has room)                 header_timeout: overloaded
///     connecting  the request is about to be sent               connect_timeout, by curl; a second for each
///                                                               address that is followed by another
///     waiting     the head is there                             header_timeout: upstream_timeout
///     body        curl is done                                  stall_timeout for each 64 KiB, unless it is
///                                                               paused: upstream_timeout
///     ended       —
///
/// Any state goes to `ended` by fail(). Bytes that came before an error are read before the error is.
class CurlExchange final : public Transfer {
 public:
  CurlExchange(CurlDriver& driver, TransportRequest request);
  ~CurlExchange() override;

  Task<Result<ResponseHead>> head() override;
  Task<Result<std::string>> read() override;
  bool may_be_sent_again() const override { return broke_before_response_; }
  size_t waiting() const override { return body_.size(); }

  // For the driver.
  const Url& url() const { return request_.url; }
  CURL* easy() const { return easy_.get(); }
  TransferClass transfer_class() const { return request_.transfer_class; }
  void wait_for_addresses(Resolver::Ticket ticket);
  /// What the host's name stands for: curl is not to look it up.
  void set_addresses(const Addresses& addresses);
  void wait_in_queue();
  /// The easy handle with all its options, for the multi handle; nullptr when there is none to be had.
  CURL* prepare();
  /// Whether there is another address to dial, now that this came of the last one.
  bool may_dial_on(CURLcode result) const;
  /// No longer one of the driver's connecting exchanges; again does nothing.
  void leave_connecting();
  /// It ends early, and is about to be taken out of the multi handle. HTTP/1.1 closes the connection then; of
  /// HTTP/2 we do, unless little is left of a body that was coming: up to 32 MiB may be on their way, which
  /// the next request would have to read first; and who has kept silent may be gone.
  void leave_connection();
  /// curl is done, and the easy handle is out of the multi handle.
  void end(CURLcode result);
  /// Ends it early. Not inside curl's callbacks.
  void fail(Errc code, std::string_view cause);

  /// Takes from the connection again.
  void resume();

 private:
  enum class State { idle, resolving, queued, connecting, waiting, body, ended };
  struct FreeEasy {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  // curl's callbacks.
  static size_t on_header(char* data, size_t size, size_t count, void* self);
  static size_t on_body(char* data, size_t size, size_t count, void* self);
  static curl_socket_t on_open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int on_request(void* self, char*, char*, int, int);
  static int on_look_up(void*, void*, void*);
  static CURLcode on_ssl_context(CURL*, void* context, void* self);

  void set_options();
  long http_version() const;
  bool set_look_up();
  void take_addresses();
  bool has_tcp_connection() const;
  void set_connection_options();
  void show_identity(const ClientIdentity& identity);
  void set_callbacks();
  bool set_headers();
  static bool add_line(std::unique_ptr<curl_slist, FreeList>& list, const std::string& line);
  Error cut(CURLcode result) const;
  Error error_of(CURLcode result) const;
  Error error(Errc code, std::string_view cause) const;
  void begin_progress();
  void on_deadline();
  void wake(bool is_alive);

  CurlDriver& driver_;
  const TransportRequest request_;
  State state_ = State::idle;
  Resolver::Ticket ticket_;            // while resolving
  std::deque<std::string> addresses_;  // that were not dialled yet
  std::string look_up_answer_;         // for CURLOPT_RESOLVE; "" = curl finds out by itself
  std::unique_ptr<CURL, FreeEasy> easy_;
  std::unique_ptr<curl_slist, FreeList> headers_;
  std::unique_ptr<curl_slist, FreeList> resolve_;
  char curl_error_[CURL_ERROR_SIZE] = "";
  HeadParser parser_;
  std::optional<ResponseHead> head_;
  bool has_head_ = false;
  ChunkQueue body_;
  std::optional<Error> failure_;
  bool is_connecting_ = false;
  bool is_paused_ = false;
  bool was_refused_ = false;
  bool has_response_ = false;
  bool may_be_long_ = true;  // what is left of the body
  bool broke_before_response_ = false;
  Timer deadline_;
  // Since when how much of the body has come: begins anew with every 64 KiB, and when a pause ends.
  MonotonicTime progress_since_;
  size_t progress_ = 0;
  Completion<bool>* waiter_ = nullptr;  // one flow: head(), then read(); false = the transfer has gone
};

}  // namespace entrepot::upstream
