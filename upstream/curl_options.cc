// The options of every request: what libcurl may do on its own, which is as little as possible.

#include <sys/socket.h>

#include <chrono>

#include "upstream/curl_driver.h"
#include "upstream/curl_exchange.h"

namespace entrepot::upstream {

bool CurlExchange::add_line(std::unique_ptr<curl_slist, FreeList>& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) return false;
  if (list.get() != longer) {
    list.release();
    list.reset(longer);
  }
  return true;
}

bool CurlExchange::set_headers() {
  bool is_good = true;
  auto add = [&](const std::string& line) { is_good = add_line(headers_, line) && is_good; };
  // "Accept:" takes away curl's own "Accept: */*".
  add(request_.accept.empty() ? "Accept:" : "Accept: " + request_.accept);
  add("Accept-Encoding: identity");
  if (!request_.span.is_whole()) add("Range: " + request_.span.range());
  if (!request_.authorization.is_empty()) {
    std::string line = "Authorization: ";
    line += request_.authorization.reveal();
    add(line);
    Secret wiped(std::move(line));
  }
  return is_good;
}

bool CurlExchange::set_look_up() {
  if (look_up_answer_.empty()) return true;
  if (!add_line(resolve_, look_up_answer_)) return false;
  // As long as curl may want to connect: it does so again when a kept connection turns out to be broken.
  const CurlOptions& options = driver_.options();
  auto lifetime = std::chrono::ceil<std::chrono::seconds>(options.connect_timeout + options.header_timeout);
  curl_easy_setopt(easy_.get(), CURLOPT_RESOLVE, resolve_.get());
  curl_easy_setopt(easy_.get(), CURLOPT_DNS_CACHE_TIMEOUT, static_cast<long>(lifetime.count()) + 1);
  curl_easy_setopt(easy_.get(), CURLOPT_RESOLVER_START_FUNCTION, &CurlExchange::on_look_up);
  return true;
}

// What is brief goes over HTTP/2 where TLS offers it: Quay closes its connections of HTTP/1.1, and allows a
// tenth of the requests on them. Blobs do not: this libcurl buffers up to 32 MiB of a stream that is paused.
long CurlExchange::http_version() const {
  return transfer_class() == TransferClass::brief ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
}

void CurlExchange::set_options() {
  CURL* easy = easy_.get();
  // What one callback may bring; of a bypass little, because there may be dozens in one turn of the loop.
  long buffer_size = transfer_class() == TransferClass::bypass ? 64 * 1024L : 128 * 1024L;
  curl_easy_setopt(easy, CURLOPT_URL, request_.url.text().c_str());
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "entrepot/" ENTREPOT_VERSION);
  if (request_.method == Method::head) curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  if (request_.method == Method::post) {
    // Where it is, not a copy: that would not be wiped.
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.form.reveal().size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.form.reveal().data());
  }
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_UNRESTRICTED_AUTH, 0L);
  curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, driver_.options().allows_http ? "http,https" : "https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, http_version());
  curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, buffer_size);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, curl_error_);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
}

void CurlExchange::set_connection_options() {
  CURL* easy = easy_.get();
  const CurlOptions& options = driver_.options();
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  // Else ending a transfer whose proxy is being looked up waits for the look-up.
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
  if (options.identity != nullptr && url().has_same_origin(options.base)) show_identity(*options.identity);
}

// The origin keeps them for as long as there are exchanges.
void CurlExchange::show_identity(const ClientIdentity& identity) {
  auto set = [easy = easy_.get()](CURLoption option, std::string_view pem) {
    curl_blob blob{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_NOCOPY};  // curl does not write to it
    curl_easy_setopt(easy, option, &blob);
  };
  set(CURLOPT_SSLCERT_BLOB, identity.certificate);
  set(CURLOPT_SSLKEY_BLOB, identity.key.reveal());
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
