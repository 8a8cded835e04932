#include "upstream/aws/authorization_token.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "upstream/aws/answer_text.h"
#include "upstream/json_fields.h"

namespace entrepot::upstream::aws {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxToken = 32 * 1024;
constexpr Duration kNormalLifetime = std::chrono::hours(12);
constexpr Duration kMaxClockSkew = std::chrono::minutes(5);

// "com.amazon.coral.service#ExpiredTokenException" → "ExpiredTokenException".
std::string error_type(const Json& answer) {
  std::string type = text_in(answer, "__type");
  return type.substr(type.rfind('#') + 1);
}

Error refusal(const HttpResponse& response, const AwsCredentials& credentials, const std::string& prefix,
              const Clock& clock) {
  Json answer = Json::parse(response.body.reveal(), nullptr, false);
  std::string type = answer.is_object() ? error_type(answer) : "";
  std::string message = answer.is_object() ? text_in(answer, "message") : "";
  if (message.empty() && answer.is_object()) message = text_in(answer, "Message");
  std::string reason = as_reason(type.empty() ? "status " + std::to_string(response.status)
                                              : type + (message.empty() ? "" : ": " + message));
  if (response.status == 429 || type.starts_with("Throttling"))
    return {Errc::upstream_rate_limited, prefix + reason};
  if (response.status >= 500) return {Errc::upstream_failed, prefix + reason};
  std::string advice;
  if (response.date) {
    auto skew = std::chrono::duration_cast<std::chrono::seconds>(clock.wall() - *response.date);
    if (std::chrono::abs(skew) > kMaxClockSkew)
      advice = "; this machine's clock is " + std::to_string(std::abs(skew.count())) + " s " +
               (skew.count() > 0 ? "ahead" : "behind");
  }
  if (type.starts_with("AccessDenied"))
    advice += "; the role or user needs " +
              std::string(prefix.find("ecr-public") == std::string::npos
                              ? "ecr:GetAuthorizationToken"
                              : "ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken");
  return {Errc::upstream_refused_credential,
          prefix + "refused the credentials of " + credentials.source + ": " + reason + advice};
}

bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= kMaxToken &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

Duration lifetime_of(const Json& data, const HttpResponse& response, const Clock& clock) {
  auto end = data.find("expiresAt");
  if (end == data.end() || !end->is_number()) return kNormalLifetime;
  WallTime now = response.date.value_or(clock.wall());
  auto now_seconds = static_cast<double>(std::chrono::system_clock::to_time_t(now));
  double left = (end->get<double>() - now_seconds) * 1000;
  return Duration(static_cast<int64_t>(std::clamp(left, 0.0, static_cast<double>(kNormalLifetime.count()))));
}

}  // namespace

Result<AuthorizationToken> get_authorization_token(HttpCaller& caller, const Endpoint& api,
                                                   const AwsCredentials& credentials, const Clock& clock) {
  bool is_public = api.service == "ecr-public";
  HttpRequest request;
  request.method = "POST";
  request.url = api.url + (api.url.ends_with('/') ? "" : "/");
  request.headers.emplace_back(std::string("Content-Type: application/x-amz-json-1.1"));
  request.headers.emplace_back(
      std::string("X-Amz-Target: ") +
      (is_public ? "SpencerFrontendService" : "AmazonEC2ContainerRegistry_V20150921") +
      ".GetAuthorizationToken");
  request.body = Secret(std::string("{}"));
  request.signature = Signature{api, &credentials};
  std::string prefix = "GetAuthorizationToken of " + api.service + " in " + api.region + ": ";
  Result<HttpResponse> response = caller.call(request);
  if (!response) return fail(response.error().code, prefix + response.error().message);
  if (response->status != 200) return fail(refusal(*response, credentials, prefix, clock));

  Json answer = Json::parse(response->body.reveal(), nullptr, false);
  // A list with one entry; ECR Public gives the entry itself.
  Json data = answer.is_object() ? answer.value("authorizationData", Json()) : Json();
  if (data.is_array() && !data.empty()) data = Json(data.front());
  std::string token = data.is_object() ? text_in(data, "authorizationToken") : "";
  if (!is_token(token)) return fail(Errc::upstream_failed, prefix + "the answer holds no usable token");
  AuthorizationToken found{Secret((is_public ? "Bearer " : "Basic ") + token),
                           lifetime_of(data, *response, clock)};
  Secret wiped(std::move(token));
  return found;
}

}  // namespace entrepot::upstream::aws
