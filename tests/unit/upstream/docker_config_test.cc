#include "upstream/docker_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace entrepot::upstream::testing {
namespace {

using ::testing::HasSubstr;

// "user:password", "helper -> server" or what is wrong.
std::string found(std::string_view text, std::string_view url) {
  Result<DockerConfigEntry> entry = find_in_docker_config(text, *Url::parse(url));
  if (!entry) return entry.error().message;
  if (!entry->program.empty()) return entry->program + " -> " + entry->server;
  if (!entry->identity_token.is_empty()) return "identity " + std::string(entry->identity_token.reveal());
  return entry->username + ":" + std::string(entry->password.reveal());
}

TEST(DockerConfig, AnEntryIsFoundByItsHostAndPort) {
  const char* text = R"({"auths":{"https://quay.io/v1/":{"auth":"YTpi"},"http://a.test:5000":{"auth":"Yzpk"},
    "b.test/team":{"auth":"eDp5"},"b.test":{"username":"e","password":"f:g"},"other":7}})";
  EXPECT_EQ(found(text, "https://quay.io"), "a:b");
  EXPECT_EQ(found(text, "https://quay.io:443/prefix"), "a:b");
  EXPECT_EQ(found(text, "https://a.test:5000"), "c:d");
  EXPECT_EQ(found(text, "https://b.test"), "e:f:g") << "a key with a path is a repository's";
  for (const char* other :
       {"https://a.test", "https://quay.io:444", "https://evilquay.io", "https://quay.io.test"})
    EXPECT_THAT(found(text, other), HasSubstr("nothing of")) << other;
}

TEST(DockerConfig, DockerHubHasSeveralNames) {
  for (const char* key :
       {"https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"}) {
    std::string text = std::string(R"({"auths":{")") + key + R"(":{"auth":"YTpi"}}})";
    EXPECT_EQ(found(text, "https://registry-1.docker.io"), "a:b") << key;
    EXPECT_THAT(found(text, "https://docker.io.test"), HasSubstr("nothing of")) << key;
  }
  EXPECT_EQ(found(R"({"credsStore":"pass"})", "https://registry-1.docker.io"),
            "pass -> https://index.docker.io/v1/");
}

TEST(DockerConfig, HelpersComeBeforeTheStoreAndEntriesComeLast) {
  const char* text =
      R"({"auths":{"a.test":{"auth":"YTpi"},"b.test":{},"c.test":{"auth":"YTpi"}},"credsStore":"store",
    "credHelpers":{"c.test":"own"}})";
  EXPECT_EQ(found(text, "https://a.test"), "store -> a.test") << "an entry from before there was a store";
  EXPECT_EQ(found(text, "https://b.test"), "store -> b.test");
  EXPECT_EQ(found(text, "https://c.test"), "own -> c.test");
  EXPECT_EQ(found(text, "https://d.test:5000"), "store -> d.test:5000");
}

TEST(DockerConfig, WhatMakesNoSenseIsSaidWithoutItsContent) {
  const char* cases[][2] = {
      {"canary", "not a docker config.json"},
      {"[]", "not a docker config.json"},
      {R"({"auths":{"a.test":{"auth":"canary"}}})", "not the base64"},
      {R"({"auths":{"a.test":{"auth":"Y2FuYXJ5"}}})", "not the base64"},  // no colon
      {R"({"auths":{"a.test":{"auth":"YTpi","registrytoken":"canary"}}})", "a registrytoken"},
      {R"({"credHelpers":{"a.test":"../canary"}})", "makes no sense"},
      {R"({"credsStore":"a b"})", "makes no sense"},
      {R"({"auths":7,"credHelpers":[],"credsStore":{}})", "nothing of a.test"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(found(text, "https://a.test"), HasSubstr(message)) << text;
    EXPECT_EQ(found(text, "https://a.test").find("canary"), std::string::npos) << text;
  }
}

TEST(DockerConfig, IdentityTokensTakeThePlaceOfPasswords) {
  EXPECT_EQ(found(R"({"auths":{"a.test":{"auth":"YTpi","identitytoken":"x"}}})", "https://a.test"),
            "identity x");
  Result<DockerConfigEntry> given = parse_program_answer(R"({"Username":"<token>","Secret":"x"})");
  ASSERT_TRUE(given);
  EXPECT_EQ(given->identity_token.reveal(), "x");
  EXPECT_TRUE(given->username.empty() && given->password.is_empty());
}

TEST(DockerConfig, HelpersAnswerInJson) {
  EXPECT_EQ(parse_program_answer(R"({"ServerURL":"x","Username":"a","Secret":"b"})")->username, "a");
  for (const char* text : {"", "credentials not found in native keychain", "[]", R"({"Username":"a"})",
                           R"({"Username":"<token>"})", R"({"Username":1,"Secret":2})"})
    EXPECT_FALSE(parse_program_answer(text)) << text;
}

}  // namespace
}  // namespace entrepot::upstream::testing
