#include "proxy/cli/control_client.h"

#include <curl/curl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/unique_fd.h"

namespace entrepot::cli {
namespace {

constexpr size_t kMaxAnswer = 64u << 20;
constexpr long kConnectTimeoutMs = 5'000;
constexpr long kLongestMs = 3'600'000;  // a purge of millions takes its time

size_t take(char* bytes, size_t, size_t count, void* to) {
  auto& answer = *static_cast<std::string*>(to);
  if (answer.size() + count > kMaxAnswer) return 0;
  answer.append(bytes, count);
  return count;
}

// The message of {"errors":[{"message":…}]}.
std::string message_of(const std::string& answer, long status) {
  nlohmann::json json = nlohmann::json::parse(answer, nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("errors") && json["errors"].is_array() && !json["errors"].empty()) {
    const nlohmann::json& first = json["errors"].front();
    if (first.is_object() && first.contains("message") && first["message"].is_string())
      return first["message"].get<std::string>();
  }
  return "the daemon answered " + std::to_string(status);
}

}  // namespace

std::optional<ControlClient> ControlClient::connect(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, socket.data(), socket.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return std::nullopt;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return std::nullopt;
  return ControlClient(socket);
}

Result<std::string> ControlClient::call(const std::string& verb, const std::string& request) const {
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy(curl_easy_init(), &curl_easy_cleanup);
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> fields(
      curl_slist_append(nullptr, "Content-Type: application/json"), &curl_slist_free_all);
  if (!easy || !fields) return fail(Errc::internal, "libcurl cannot be used");
  fields.reset(curl_slist_append(fields.release(), "Expect:"));
  std::string url = "http://localhost/api/v1/verbs/" + verb;
  std::string answer;
  char error[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(easy.get(), CURLOPT_UNIX_SOCKET_PATH, socket_.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, fields.get());
  curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDS, request.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(request.size()));
  curl_easy_setopt(easy.get(), CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, kLongestMs);
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, &take);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &answer);
  CURLcode code = curl_easy_perform(easy.get());
  if (code != CURLE_OK)
    return fail(Errc::upstream_unreachable, "the daemon at " + socket_ + " does not answer: " +
                                                (*error ? error : curl_easy_strerror(code)));
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) return fail(Errc::internal, message_of(answer, status));
  return answer;
}

}  // namespace entrepot::cli
