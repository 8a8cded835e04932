#include "upstream/aws/credential_document.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>
#include <utility>

#include "upstream/aws/answer_text.h"
#include "upstream/json_fields.h"

namespace entrepot::upstream::aws {
namespace {

bool is_sound(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

Result<AwsCredentials> make(std::string id, std::string key, std::string token, std::string_view end,
                            std::string source) {
  bool is_whole = is_sound(id) && is_sound(key) && (token.empty() || is_sound(token));
  AwsCredentials found{std::move(id), Secret(std::move(key)), Secret(std::move(token)), parse_time(end),
                       std::move(source)};
  if (!is_whole)
    return fail(Errc::upstream_failed, found.source + ": the answer holds no usable credentials");
  return found;
}

}  // namespace

std::optional<WallTime> parse_time(std::string_view text) {
  std::tm parts{};
  std::string copy(text);
  const char* rest = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  if (*rest == '.')
    while (*++rest >= '0' && *rest <= '9') continue;
  std::string_view zone = rest;
  if (zone != "Z" && zone != "+00:00" && zone != "+0000") return std::nullopt;
  // What is later than a clock of nanoseconds can hold is late enough.
  return std::chrono::system_clock::from_time_t(std::clamp(::timegm(&parts), time_t{0}, kLatestTime));
}

Result<AwsCredentials> parse_credential_json(std::string_view text, std::string source) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(Errc::upstream_failed, source + ": the answer is no JSON object");
  std::string code = text_in(json, "Code");
  if (!code.empty() && code != "Success") {
    std::string message = as_reason(code + ": " + text_in(json, "Message"));
    return fail(Errc::upstream_failed, source + ": " + message);
  }
  std::string token = text_in(json, "Token");
  if (token.empty()) token = text_in(json, "SessionToken");
  return make(text_in(json, "AccessKeyId"), text_in(json, "SecretAccessKey"), std::move(token),
              text_in(json, "Expiration"), std::move(source));
}

Result<AwsCredentials> parse_sts_answer(std::string_view text, std::string source) {
  pugi::xml_document document;
  if (!document.load_buffer(text.data(), text.size()))
    return fail(Errc::upstream_failed, source + ": the answer is no XML");
  pugi::xml_node credentials = document.find_node(
      [](const pugi::xml_node& node) { return std::string_view(node.name()) == "Credentials"; });
  return make(credentials.child_value("AccessKeyId"), credentials.child_value("SecretAccessKey"),
              credentials.child_value("SessionToken"), credentials.child_value("Expiration"),
              std::move(source));
}

std::string sts_refusal(std::string_view text) {
  pugi::xml_document document;
  if (!document.load_buffer(text.data(), text.size())) return {};
  pugi::xml_node error =
      document.find_node([](const pugi::xml_node& node) { return std::string_view(node.name()) == "Error"; });
  std::string code = error.child_value("Code");
  return code.empty() ? code : as_reason(code + ": " + error.child_value("Message"));
}

}  // namespace entrepot::upstream::aws
