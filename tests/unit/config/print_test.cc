#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config_testing.h"
#include "proxy/config/key.h"

namespace entrepot::config::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kFile = R"(
builtin_upstreams = false
[server]
listen = ["[::1]:5000"]
[cache]
directory = "/srv/a \"quoted\\ directory"
max_size = "80%"
[admin]
listen = ""
[[upstream]]
name = "registry.example:5000"
aliases = ["registry.example"]
url = "https://registry.example:5000/prefix/"
username = "me"
password_env = "THE_PASSWORD"
access = "shared"
allow_unauthenticated_private = true
tag_ttl = "90s"
trusted_realms = ["auth.example:8443"]
allow_private = ["10.0.0.0/8"]
)";

TEST(Printed, IsReadBackToTheSame) {
  for (const std::string& text : {std::string(), kFile}) {
    Loaded first = load_text(text);
    ASSERT_TRUE(first.is_good()) << first.error();
    Loaded second = load_text(to_toml(first.config));
    ASSERT_TRUE(second.is_good()) << second.error() << to_toml(first.config);
    EXPECT_EQ(to_toml(second.config), to_toml(first.config));
    EXPECT_EQ(to_json(second.config), to_json(first.config));
  }
}

TEST(Printed, HoldsEveryKey) {
  std::string text = "\n" + to_toml(load_text(kFile).config);
  for (const Key& key : all_keys())
    EXPECT_THAT(text, HasSubstr("\n" + std::string(key.name) + " = ")) << full_name(key);
}

TEST(Printed, ShowsWhatIsInEffect) {
  std::string text = to_toml(load_text(kFile, {{"THE_PASSWORD", "canary"}}).config);
  EXPECT_THAT(text, HasSubstr("directory = \"/srv/a \\\"quoted\\\\ directory\"\n"));
  EXPECT_THAT(text, HasSubstr("max_size = \"80%\"\n"));
  EXPECT_THAT(text, HasSubstr("listen = \"unix:/srv/a \\\"quoted\\\\ directory/control.sock\"\n"));
  EXPECT_THAT(text, HasSubstr("url = \"https://registry.example:5000/prefix\"\n"));
  EXPECT_THAT(text, HasSubstr("password_env = \"THE_PASSWORD\"\n"));
  EXPECT_THAT(text, HasSubstr("tag_ttl = \"1m30s\"\n"));
  EXPECT_THAT(text, Not(HasSubstr("canary")));
}

TEST(PrintedJson, HasTheShapeOfTheFile) {
  std::string json = to_json(load_text(kFile).config);
  EXPECT_THAT(json, HasSubstr("\"builtin_upstreams\": false"));
  EXPECT_THAT(json, HasSubstr("\"tls\": {\n      \"certificate\": \"\""));
  EXPECT_THAT(json, HasSubstr("\"upstream\": [\n    {\n      \"name\": \"registry.example:5000\""));
  EXPECT_THAT(json, HasSubstr("\"max_connections\": 32"));
}

}  // namespace
}  // namespace entrepot::config::testing
