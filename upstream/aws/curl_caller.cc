#include <curl/curl.h>

#include <cstring>
#include <string_view>
#include <utility>

#include "upstream/aws/answer_text.h"
#include "upstream/aws/http_caller.h"
#include "upstream/curl_cause.h"

namespace entrepot::upstream::aws {
namespace {

constexpr size_t kMaxAnswer = 1024 * 1024;

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Lines = std::unique_ptr<curl_slist, FreeList>;

struct Received {
  std::string body;
  std::optional<WallTime> date;
  bool is_too_large = false;
};

size_t on_body(char* bytes, size_t, size_t count, void* user) {
  auto& received = *static_cast<Received*>(user);
  received.is_too_large = received.body.size() + count > kMaxAnswer;
  if (received.is_too_large) return 0;
  received.body.append(bytes, count);
  return count;
}

size_t on_header(char* bytes, size_t, size_t count, void* user) {
  auto& received = *static_cast<Received*>(user);
  constexpr std::string_view kDate = "date:";
  std::string line(bytes, count);
  if (line.size() > kDate.size() && ::strncasecmp(line.c_str(), kDate.data(), kDate.size()) == 0) {
    time_t when = curl_getdate(line.c_str() + kDate.size(), nullptr);
    if (when >= 0 && when <= kLatestTime) received.date = std::chrono::system_clock::from_time_t(when);
  }
  return count;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return *static_cast<const std::atomic<bool>*>(user) ? 1 : 0;
}

CURLcode on_ssl_context(CURL*, void* ssl_context, void* user) {
  static_cast<const CaStore*>(user)->use_in(ssl_context);
  return CURLE_OK;
}

bool add(Lines& lines, std::string_view line) {
  std::string text(line);
  curl_slist* longer = curl_slist_append(lines.get(), text.c_str());
  Secret wiped(std::move(text));
  if (longer == nullptr) return false;
  static_cast<void>(lines.release());
  lines.reset(longer);
  return true;
}

Errc code_of(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return Errc::upstream_timeout;
    case CURLE_ABORTED_BY_CALLBACK:
      return Errc::shutting_down;
    case CURLE_WRITE_ERROR:
      return Errc::upstream_failed;
    default:
      return Errc::upstream_unreachable;
  }
}

class CurlCaller final : public HttpCaller {
 public:
  explicit CurlCaller(CallerOptions options) : options_(std::move(options)) {}

  Result<HttpResponse> call(const HttpRequest& request) override {
    std::unique_ptr<CURL, FreeEasy> easy(curl_easy_init());
    Lines lines;
    Received received;
    bool is_good = easy != nullptr;
    for (const Secret& line : request.headers) is_good = is_good && add(lines, line.reveal());
    if (request.signature) is_good = is_good && sign(easy.get(), lines, *request.signature);
    if (!is_good) return fail(Errc::internal, "out of memory");
    char text[CURL_ERROR_SIZE] = "";
    set_options(easy.get(), request, lines, received);
    curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, text);
    CURLcode code = curl_easy_perform(easy.get());
    if (code != CURLE_OK) {
      std::string cause(received.is_too_large ? "the answer is too large" : curl_cause(code, text));
      return fail(code_of(code), shown(request) + ": " + cause);
    }
    long status = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    return HttpResponse{static_cast<int>(status), Secret(std::move(received.body)), received.date};
  }

 private:
  // The path of a container's endpoint is what entitles to its role.
  static std::string shown(const HttpRequest& request) {
    size_t host = request.url.find("://") + 3;
    return request.url.substr(0, request.url.find_first_of(request.is_local ? "/?" : "?", host));
  }

  // libcurl signs what it sends: `host`, `x-amz-date` and the headers that are given to it.
  static bool sign(CURL* easy, Lines& lines, const Signature& signature) {
    const AwsCredentials& credentials = *signature.credentials;
    std::string how = "aws:amz:" + signature.by.region + ":" + signature.by.service;
    Secret key(std::string(credentials.secret_access_key.reveal()) + '\0');
    curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, how.c_str());
    curl_easy_setopt(easy, CURLOPT_USERNAME, credentials.access_key_id.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, key.reveal().data());
    if (credentials.session_token.is_empty()) return true;
    Secret line("X-Amz-Security-Token: " + std::string(credentials.session_token.reveal()));
    return add(lines, line.reveal());
  }

  void set_options(CURL* easy, const HttpRequest& request, const Lines& lines, Received& received) const {
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    if (!request.body.is_empty()) {
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.reveal().size()));
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.reveal().data());
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lines.get());
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "entrepot/" ENTREPOT_VERSION);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // the end does not wait for a look-up
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    const std::string proxy = request.is_local ? "" : options_.proxy;
    if (proxy != "env") curl_easy_setopt(easy, CURLOPT_PROXY, proxy.c_str());
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    curl_easy_setopt(easy, CURLOPT_CAINFO, nullptr);
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, &on_ssl_context);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, const_cast<CaStore*>(options_.ca.get()));
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &received);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &received);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, &on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, const_cast<std::atomic<bool>*>(&options_.is_stopped));
  }

  const CallerOptions options_;
};

}  // namespace

std::unique_ptr<HttpCaller> make_curl_caller(CallerOptions options) {
  return std::make_unique<CurlCaller>(std::move(options));
}

}  // namespace entrepot::upstream::aws
