#include "proxy/cli/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace entrepot::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kNoFile = "/nonexistent/entrepot.toml";

Parsed parse_words(const std::vector<std::string>& words, std::string_view default_file = kNoFile) {
  return parse(words, "1.2.3\nlibuv 1.44.2", default_file);
}

TEST(Cli, ParsesServe) {
  Parsed parsed =
      parse_words({"serve", "--config", "/a.toml", "--set", "server.threads=1", "--set", "log.level=debug"});
  ASSERT_TRUE(parsed.command.has_value()) << parsed.answer.text;
  EXPECT_EQ(parsed.command->verb, Verb::serve);
  EXPECT_EQ(parsed.command->config_file, "/a.toml");
  EXPECT_THAT(parsed.command->sets, ElementsAre("server.threads=1", "log.level=debug"));
  EXPECT_FALSE(parsed.command->wants_json);
}

TEST(Cli, ParsesCheckConfig) {
  Parsed parsed = parse_words({"check-config", "--json", "--config=/a.toml"});
  ASSERT_TRUE(parsed.command.has_value()) << parsed.answer.text;
  EXPECT_EQ(parsed.command->verb, Verb::check_config);
  EXPECT_EQ(parsed.command->config_file, "/a.toml");
  EXPECT_TRUE(parsed.command->wants_json);
}

TEST(Cli, PassesValuesOfSetOnUnchanged) {
  Parsed parsed = parse_words(
      {"serve", "--set", "server.listen=[\"[::1]:1\", \"127.0.0.1:1\"]", "--set=a=b=c,d", "--set", "x="});
  ASSERT_TRUE(parsed.command.has_value()) << parsed.answer.text;
  EXPECT_THAT(parsed.command->sets,
              ElementsAre("server.listen=[\"[::1]:1\", \"127.0.0.1:1\"]", "a=b=c,d", "x="));
}

TEST(Cli, TakesTheDefaultFileIfItExists) {
  EXPECT_EQ(parse_words({"serve"}).command->config_file, "");
  EXPECT_EQ(parse_words({"serve"}, "/etc/passwd").command->config_file, "/etc/passwd");
  EXPECT_EQ(parse_words({"serve", "--config", "/b"}, "/etc/passwd").command->config_file, "/b");
}

TEST(Cli, AnswersUsageErrorsWithTwoOnStandardError) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{},
                                             {"swerve"},
                                             {"warm"},
                                             {"serve", "--bogus"},
                                             {"serve", "extra"},
                                             {"serve", "--config"},
                                             {"serve", "--config", ""},
                                             {"serve", "--set"},
                                             {"serve", "--set", "a=1", "b=2"},
                                             {"serve", "--json"},
                                             {"--config", "/a", "serve"},
                                             {"serve", "check-config"},
                                             {"serve", "--config", "/a", "--config", "/b"},
                                             {""},
                                             {"serve", ""}}) {
    Parsed parsed = parse_words(words);
    EXPECT_FALSE(parsed.command.has_value()) << ::testing::PrintToString(words);
    EXPECT_EQ(parsed.answer.exit_code, kUsage) << ::testing::PrintToString(words);
    EXPECT_TRUE(parsed.answer.is_error);
    EXPECT_THAT(parsed.answer.text, ::testing::StartsWith("entrepot: "));
  }
}

TEST(Cli, PrintsTheVersionOnStandardOutput) {
  Parsed parsed = parse_words({"--version"});
  EXPECT_FALSE(parsed.command.has_value());
  EXPECT_EQ(parsed.answer.text, "entrepot 1.2.3\nlibuv 1.44.2\n");
  EXPECT_EQ(parsed.answer.exit_code, kSuccess);
  EXPECT_FALSE(parsed.answer.is_error);
}

TEST(Cli, PrintsHelpOnStandardOutput) {
  Parsed parsed = parse_words({"--help"});
  EXPECT_EQ(parsed.answer.exit_code, kSuccess);
  EXPECT_FALSE(parsed.answer.is_error);
  EXPECT_THAT(parsed.answer.text, HasSubstr("check-config"));
  EXPECT_THAT(parse_words({"serve", "--help"}).answer.text, HasSubstr("--set"));
}

}  // namespace
}  // namespace entrepot::cli
