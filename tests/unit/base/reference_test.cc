#include "base/reference.h"

#include <gtest/gtest.h>

#include <random>
#include <regex>

namespace entrepot {
namespace {

TEST(RepositoryName, FollowsTheSpecification) {
  for (const char* good :
       {"a", "0", "library/alpine", "a/b/c/d/e", "a--b", "a---b", "a__b", "a.b", "a_b", "a-b/c.d"})
    EXPECT_TRUE(is_repository_name(good)) << good;
  for (const char* bad : {"",     "/",  "a/", "/a",  "a//b", "-a",     "a-",    ".a",  "a.",  "a..b", "a___b",
                          "a._b", "_a", "A",  "a/B", "a b",  "a/../b", "a/./b", "a:b", "a@b", "a\n",  "é"})
    EXPECT_FALSE(is_repository_name(bad)) << bad;
  EXPECT_TRUE(is_repository_name(std::string(255, 'a')));
  EXPECT_FALSE(is_repository_name(std::string(256, 'a')));
}

TEST(RepositoryName, AgreesWithTheSpecificationsExpressionOnRandomText) {
  std::regex expression("[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*");
  std::mt19937 random(20261124);
  const std::string alphabet = "ab0._-/A";
  for (int i = 0; i < 50'000; ++i) {
    std::string text;
    for (size_t n = random() % 10; n > 0; --n) text += alphabet[random() % alphabet.size()];
    EXPECT_EQ(is_repository_name(text), std::regex_match(text, expression)) << text;
  }
}

TEST(Tag, FollowsTheSpecification) {
  for (const char* good : {"latest", "Latest", "_x", "1.0-rc.1", "v1_2"}) EXPECT_TRUE(is_tag(good)) << good;
  for (const char* bad : {"", ".", "..", "-x", ".x", "a/b", "a:b", "a\n", "a b", "a%00"})
    EXPECT_FALSE(is_tag(bad)) << bad;
  EXPECT_TRUE(is_tag(std::string(128, 'a')));
  EXPECT_FALSE(is_tag(std::string(129, 'a')));
}

TEST(Reference, IsATagOrADigestAndNothingElse) {
  Digest digest = Digest::of("x");
  EXPECT_EQ(to_text(*parse_reference(digest.text())), digest.text());
  EXPECT_TRUE(std::holds_alternative<Digest>(*parse_reference(digest.text())));
  EXPECT_TRUE(std::holds_alternative<std::string>(*parse_reference("latest")));
  EXPECT_FALSE(parse_reference("sha256:abc"));
  EXPECT_FALSE(parse_reference("md5:d41d8cd98f00b204e9800998ecf8427e"));
}

}  // namespace
}  // namespace entrepot
