// What a token service answers: one line with the moment it came, in seconds, and the JSON behind it. A token
// that is taken can stand in a header and lives for a bounded time; an error repeats nothing of the answer,
// which may be a token.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/check.h"
#include "tests/fuzz/fuzz_input.h"
#include "upstream/token_response.h"

namespace {

using entrepot::upstream::parse_token_response;
using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr uint64_t kMostSeconds = 5'000'000'000;
constexpr std::string_view kCanary = "cAnArYcAnArY";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  entrepot::fuzz::Input input(data, size);
  entrepot::WallTime now(std::chrono::seconds(entrepot::fuzz::number_in(input.line(), kMostSeconds)));
  entrepot::fuzz::Exact body(input.rest());
  auto grant = parse_token_response(body.view(), now);
  if (!grant) {
    CHECK(grant.error().code == entrepot::Errc::upstream_failed && !grant.error().message.empty());
    CHECK(grant.error().message.find(kCanary) == std::string::npos);
    return 0;
  }
  std::string_view token = grant->token.reveal();
  CHECK(!token.empty() && token.size() <= 32 * 1024);
  CHECK(std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7f; }));
  // A JWT that says so may live for less than the minute of RFC 6749's clients, never for nothing.
  CHECK(grant->lifetime >= milliseconds(900) && grant->lifetime <= milliseconds(24 * 60 * 60 * 900));

  Json answer = Json::parse(body.view(), nullptr, false);
  auto is_at = [&](const char* name) { return answer.contains(name) && answer[name] == token; };
  CHECK(answer.is_object() && (is_at("token") || is_at("access_token")));
  Json least{{"access_token", token}};
  if (answer.contains("expires_in")) least["expires_in"] = answer["expires_in"];
  auto again = parse_token_response(least.dump(), now);
  CHECK(again && again->token.reveal() == token && again->lifetime == grant->lifetime);
  return 0;
}
