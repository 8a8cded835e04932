#include "upstream/token_response.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "upstream/base64.h"
#include "upstream/json_fields.h"

namespace entrepot::upstream {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxTokenSize = 32 * 1024;
constexpr double kDefaultSeconds = 60;  // when nothing says how long: token.md of distribution
constexpr double kLeastSeconds = 60;
constexpr double kMostSeconds = 24 * 60 * 60;
constexpr double kLeastJwtSeconds = 1;

std::optional<double> number_in(const Json& object, const char* name) {
  auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

// Seconds between the issue of a JWT and its end; nullopt when the token is opaque or says nothing about it.
std::optional<double> jwt_seconds(std::string_view token, WallTime now) {
  size_t first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  std::optional<std::string> text = decode_base64url(token.substr(first + 1, second - first - 1));
  if (!text) return std::nullopt;
  Json claims = Json::parse(*text, nullptr, false);
  if (!claims.is_object()) return std::nullopt;
  std::optional<double> end = number_in(claims, "exp");
  if (!end) return std::nullopt;
  auto now_seconds = static_cast<double>(std::chrono::system_clock::to_time_t(now));
  double seconds = *end - number_in(claims, "iat").value_or(now_seconds);
  return std::max(seconds, kLeastJwtSeconds);
}

bool can_stand_in_header(std::string_view token) {
  return !token.empty() && token.size() <= kMaxTokenSize &&
         std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

Result<TokenGrant> parse_token_response(std::string_view body, WallTime now) {
  Json answer = Json::parse(body, nullptr, false);
  if (!answer.is_object()) return fail(Errc::upstream_failed, "the answer is no JSON object");
  std::string token = text_in(answer, "token");
  if (token.empty()) token = text_in(answer, "access_token");
  if (!can_stand_in_header(token)) return fail(Errc::upstream_failed, "the answer holds no usable token");
  // Quay says it in the token alone: an hour, for which asking again each minute would be a waste.
  std::optional<double> jwt = jwt_seconds(token, now);
  std::optional<double> said = number_in(answer, "expires_in");
  double seconds = std::clamp(said ? *said : jwt.value_or(kDefaultSeconds), kLeastSeconds, kMostSeconds);
  seconds = std::min(seconds, jwt.value_or(seconds));
  return TokenGrant{Secret(std::move(token)), Duration(static_cast<int64_t>(seconds * 900))};
}

}  // namespace entrepot::upstream
