#include "upstream/challenge.h"

#include <gtest/gtest.h>

#include <random>

namespace entrepot::upstream {
namespace {

std::vector<Challenge> parse(std::string_view line) { return parse_challenges(std::span(&line, 1)); }

// "bearer(a=1,b=2) basic()": parameters by name.
std::string summary(const std::vector<Challenge>& challenges) {
  std::string text;
  for (const Challenge& challenge : challenges) {
    if (!text.empty()) text += ' ';
    text += challenge.scheme + "(";
    std::string separator;
    for (const auto& [name, value] : challenge.parameters) {
      text += separator + name + "=" + value;
      separator = ",";
    }
    text += ")";
  }
  return text;
}

TEST(Challenge, LinesAreUnderstood) {
  struct Row {
    std::string_view line;
    std::string_view expected;
  };
  const Row rows[] = {
      {R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push")",
       "bearer(realm=https://auth.docker.io/token,scope=repository:a/"
       "b:pull,push,service=registry.docker.io)"},
      {R"(bearer REALM="r")", "bearer(realm=r)"},
      {R"(Bearer realm=r)", "bearer(realm=r)"},
      {R"(Bearer  realm = "r" ,  service	=	"s")", "bearer(realm=r,service=s)"},
      {R"(Bearer realm="a\"b\\c")", R"(bearer(realm=a"b\c))"},
      {R"(Bearer realm="r",error="insufficient_scope",whatever="x")",
       "bearer(error=insufficient_scope,realm=r,whatever=x)"},
      {R"(Basic realm="x", Bearer realm="y",service="z")", "basic(realm=x) bearer(realm=y,service=z)"},
      {R"(Bearer realm="y",service="z", Basic realm="x")", "bearer(realm=y,service=z) basic(realm=x)"},
      {R"(Negotiate, Basic realm="x")", "negotiate() basic(realm=x)"},
      {R"(Negotiate YWJjZA==, Basic realm="x")", "negotiate() basic(realm=x)"},
      {R"(Basic)", "basic()"},
      {R"(,, Basic realm="x",,)", "basic(realm=x)"},
      {R"(Bearer realm="")", "bearer(realm=)"},
      {R"(Bearer realm="a,b=c")", "bearer(realm=a,b=c)"},
      {"", ""},
      {" , ", ""},
      {R"(Bearer realm="unterminated)", ""},
      {R"(Bearer realm="x\)", ""},
      {R"(Bearer realm="a",realm="b")", ""},
      {R"(Basic realm="x", Bearer realm="un)", "basic(realm=x)"},
      {R"(Bearer realm=)", "bearer()"},
      {R"(Bearer realm=,service="s")", "bearer()"},
      {"Bearer realm=\"a\r\nb\"", ""},
      {"=", ""},
      {R"("quoted")", ""},
  };
  for (const Row& row : rows) EXPECT_EQ(summary(parse(row.line)), row.expected) << row.line;
}

TEST(Challenge, SeveralLinesAreReadInOrder) {
  const std::string_view lines[] = {R"(Basic realm="x")", R"(Bearer realm="un)", R"(Bearer realm="y")"};
  EXPECT_EQ(summary(parse_challenges(lines)), "basic(realm=x) bearer(realm=y)");
}

TEST(Challenge, AbsentParameterIsEmpty) {
  std::vector<Challenge> challenges = parse(R"(Bearer realm="r")");
  ASSERT_EQ(challenges.size(), 1U);
  EXPECT_EQ(challenges[0].parameter("realm"), "r");
  EXPECT_EQ(challenges[0].parameter("service"), "");
}

TEST(Challenge, SizesAreBounded) {
  EXPECT_TRUE(parse("Bearer realm=\"" + std::string(16 * 1024, 'x') + "\"").empty());
  std::string many;
  for (int i = 0; i < 100; ++i) many += "Basic realm=\"x\", ";
  EXPECT_EQ(parse(many).size(), 16U);
  std::string wide = "Bearer a=1";
  for (int i = 0; i < 100; ++i) wide += ",p" + std::to_string(i) + "=1";
  EXPECT_TRUE(parse(wide).empty());
}

TEST(Challenge, NoBytesBreakIt) {
  const std::string good =
      R"(Basic realm="x", Bearer realm="https://a/t",service="s\"t",scope="repository:a/b:pull,push", X YQ==)";
  for (size_t at = 0; at < good.size(); ++at) {
    parse(std::string_view(good).substr(0, at));
    for (int byte = 0; byte < 256; ++byte) {
      std::string mutated = good;
      mutated[at] = static_cast<char>(byte);
      for (const Challenge& challenge : parse(mutated)) {
        EXPECT_FALSE(challenge.scheme.empty());
        for (const auto& [name, value] : challenge.parameters) {
          EXPECT_EQ(value.find_first_of(std::string_view("\r\n\0", 3)), std::string::npos);
        }
      }
    }
  }
  std::mt19937 random(1);
  constexpr std::string_view kBytes = "ab=\",\\ \t;/=Bearer\r\n";
  for (int i = 0; i < 100'000; ++i) {
    std::string text;
    for (auto size = random() % 40; size > 0; --size) text += kBytes[random() % kBytes.size()];
    EXPECT_LE(parse(text).size(), 16U);
  }
}

}  // namespace
}  // namespace entrepot::upstream
