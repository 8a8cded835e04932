#include "upstream/token_response.h"

#include <gtest/gtest.h>

#include "upstream/base64.h"

namespace entrepot::upstream {
namespace {

const WallTime kNow{std::chrono::seconds(1'000'000)};

Result<TokenGrant> parse(const std::string& body) { return parse_token_response(body, kNow); }

std::string base64url(const std::string& text) {
  std::string encoded = encode_base64(text);
  for (char& c : encoded) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return encoded.substr(0, encoded.find('='));
}

Duration lifetime_of_jwt(const std::string& claims) {
  Result<TokenGrant> grant = parse(R"({"expires_in":3600,"token":"e30.)" + base64url(claims) + R"(.sig"})");
  return grant ? grant->lifetime : Duration(-1);
}

TEST(TokenResponse, TokenComesBeforeAccessToken) {
  EXPECT_EQ(parse(R"({"token":"a","access_token":"b"})")->token.reveal(), "a");
  EXPECT_EQ(parse(R"({"access_token":"b"})")->token.reveal(), "b");
  EXPECT_EQ(parse(R"({"token":"","access_token":"b"})")->token.reveal(), "b");
}

TEST(TokenResponse, LifetimeIsATenthLessAndAtLeastAMinute) {
  EXPECT_EQ(parse(R"({"token":"a","expires_in":300})")->lifetime, Duration(270'000));
  for (const char* value : {"0", "-1", "59", "\"60\"", "null", "{}", "1.5"})
    EXPECT_EQ(parse(std::string(R"({"token":"a","expires_in":)") + value + "}")->lifetime, Duration(54'000))
        << value;
  EXPECT_EQ(parse(R"({"token":"a"})")->lifetime, Duration(54'000));
  EXPECT_EQ(parse(R"({"token":"a","expires_in":1000000000000})")->lifetime, Duration(24 * 3600 * 900));
}

TEST(TokenResponse, JwtSaysHowLongWhereTheAnswerDoesNot) {
  auto lifetime = [](const std::string& claims) {
    return parse(R"({"token":"e30.)" + base64url(claims) + R"(.sig"})")->lifetime;
  };
  EXPECT_EQ(lifetime(R"({"exp":8600,"iat":5000})"), Duration(3'240'000));
  EXPECT_EQ(lifetime(R"({"exp":1000000000,"iat":5000})"), Duration(24 * 3600 * 900));
  EXPECT_EQ(lifetime(R"({"exp":5010,"iat":5000})"), Duration(9'000));
  EXPECT_EQ(lifetime(R"({"iat":5000})"), Duration(54'000));
}

TEST(TokenResponse, JwtEndsWithItsExp) {
  EXPECT_EQ(lifetime_of_jwt(R"({"exp":1000100})"), Duration(90'000));
  EXPECT_EQ(lifetime_of_jwt(R"({"exp":5100,"iat":5000})"), Duration(90'000))
      << "a clock that is wrong does no harm";
  EXPECT_EQ(lifetime_of_jwt(R"({"exp":1000000000})"), Duration(3'240'000));
  EXPECT_EQ(lifetime_of_jwt(R"({"exp":1})"), Duration(900));
  EXPECT_EQ(lifetime_of_jwt(R"({"exp":"x"})"), Duration(3'240'000));
  EXPECT_EQ(lifetime_of_jwt("no json"), Duration(3'240'000));
}

TEST(TokenResponse, OthersAreRefusedWithoutTheirText) {
  std::string deep(100'000, '[');
  for (const std::string& body :
       {std::string(), std::string("{}"), std::string("[]"), std::string("null"),
        std::string(R"({"token":1})"), std::string(R"({"token":"canary\r\nX: 1"})"),
        std::string(R"({"token":"canary b"})"), std::string(R"({"token":"canary)"),
        std::string("{\"token\":\"canary\xff\"}"), std::string(R"({"token":"canary\u0000"})"), deep,
        R"({"x":)" + deep, R"({"token":")" + std::string(40'000, 'x') + R"("})"}) {
    Result<TokenGrant> grant = parse(body);
    ASSERT_FALSE(grant) << body.substr(0, 50);
    EXPECT_EQ(grant.error().code, Errc::upstream_failed);
    EXPECT_EQ(grant.error().message.find("canary"), std::string::npos);
  }
  std::string closed = R"({"token":"a","x":)" + deep + std::string(100'000, ']') + "}";
  EXPECT_TRUE(parse(closed));
}

TEST(TokenResponse, NoByteThatIsChangedPutsALineEndIntoAToken) {
  const std::string good = R"({"token":"e30.eyJleHAiOjF9.c2ln","expires_in":300})";
  for (size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string mutated = good;
      mutated[at] = static_cast<char>(byte);
      Result<TokenGrant> grant = parse(mutated);
      if (!grant) continue;
      EXPECT_EQ(grant->token.reveal().find_first_of(std::string_view(" \r\n\0", 4)), std::string::npos);
      EXPECT_GT(grant->lifetime, Duration(0));
    }
  }
}

TEST(Base64, IsThatOfTheRfc) {
  EXPECT_EQ(encode_base64(""), "");
  EXPECT_EQ(encode_base64("f"), "Zg==");
  EXPECT_EQ(encode_base64("fo"), "Zm8=");
  EXPECT_EQ(encode_base64("foo"), "Zm9v");
  EXPECT_EQ(encode_base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(decode_base64url("Zm8"), "fo");
  EXPECT_EQ(decode_base64url("-_8"), "\xfb\xff");
  EXPECT_EQ(decode_base64url("Zm8="), std::nullopt);
  EXPECT_EQ(decode_base64url("Z"), std::nullopt);
}

}  // namespace
}  // namespace entrepot::upstream
