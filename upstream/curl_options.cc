// The options of every request: what libcurl may do on its own, which is as little as possible.

#include <sys/socket.h>

#include "upstream/curl_driver.h"
#include "upstream/curl_exchange.h"

namespace entrepot::upstream {

bool CurlExchange::set_headers() {
  bool is_good = true;
  auto add = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(headers_.get(), line.c_str());
    if (longer == nullptr) {
      is_good = false;
    } else if (headers_.get() != longer) {
      headers_.release();
      headers_.reset(longer);
    }
  };
  // "Accept:" takes away curl's own "Accept: */*".
  add(request_.accept.empty() ? "Accept:" : "Accept: " + request_.accept);
  add("Accept-Encoding: identity");
  if (!request_.authorization.is_empty()) {
    std::string line = "Authorization: ";
    line += request_.authorization.reveal();
    add(line);
    Secret wiped(std::move(line));
  }
  return is_good;
}

void CurlExchange::set_options() {
  CURL* easy = easy_.get();
  constexpr long kBufferSize = 256 * 1024;
  curl_easy_setopt(easy, CURLOPT_URL, request_.url.text().c_str());
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "entrepot/" ENTREPOT_VERSION);
  if (request_.method == Method::head) curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_UNRESTRICTED_AUTH, 0L);
  curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, driver_.options().allows_http ? "http,https" : "https");
  // HTTP/1.1: on HTTP/2 a paused body is buffered, up to 32 MiB.
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kBufferSize);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, curl_error_);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
}

void CurlExchange::set_connection_options() {
  CURL* easy = easy_.get();
  const CurlOptions& options = driver_.options();
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  // Else ending a transfer whose host name is being looked up waits for the look-up.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request_.on_fresh_connection ? 1L : 0L);
  if (options.proxy != "env") curl_easy_setopt(easy, CURLOPT_PROXY, options.proxy.c_str());
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  // The certificates come from the shared store by on_ssl_context; without these curl reads the bundle for
  // each context.
  curl_easy_setopt(easy, CURLOPT_CAINFO, nullptr);
  curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
}

void CurlExchange::set_callbacks() {
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &CurlExchange::on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &CurlExchange::on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &CurlExchange::on_open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &CurlExchange::on_request);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, &CurlExchange::on_ssl_context);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, this);
}

}  // namespace entrepot::upstream
