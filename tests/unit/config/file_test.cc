#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "config_testing.h"

// What the file, the environment and --set come to together.

namespace entrepot::config::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Load, NeedsNoFileAtAll) {
  Loaded loaded = load_inputs(plain_inputs());
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  const Config& config = loaded.config;
  ASSERT_EQ(config.server.listen.size(), 1U);
  EXPECT_EQ(config.server.listen[0].text(), "127.0.0.1:5000");
  EXPECT_EQ(config.server.threads, 0);
  EXPECT_EQ(config.server.drain_timeout, std::chrono::seconds(60));
  EXPECT_EQ(config.cache.directory, "/home/me/.cache/entrepot");
  EXPECT_EQ(config.control.listen.text(), "unix:/home/me/.cache/entrepot/control.sock");
  ASSERT_TRUE(config.admin.listen.has_value());
  EXPECT_EQ(config.admin.listen->text(), "127.0.0.1:5001");
  EXPECT_EQ(config.cache.max_size, (SizeLimit{20ULL << 30, 0}));
  EXPECT_EQ(config.cache.min_free, 1ULL << 30);
  EXPECT_FALSE(config.cache.offline);
  EXPECT_TRUE(config.cache.unverified_ranges);
  EXPECT_EQ(config.cache.scrub_rate, 20ULL << 20);
  EXPECT_EQ(config.log.level, LogLevel::info);
  EXPECT_EQ(config.log.format, LogFormat::text);
  EXPECT_TRUE(config.log.access);
}

TEST(Load, TakesEveryValueOfTheFile) {
  Loaded loaded = load_text(R"(
[server]
listen = ["[::1]:5000", "unix:/run/entrepot/data.sock", "0.0.0.0:0"]
threads = 4
drain_timeout = "1m30s"
[control]
listen = "unix:/run/entrepot/control.sock"
[admin]
listen = ""
[cache]
directory = "relative/cache/"
max_size = "80%"
min_free = 1048576
[log]
level = "debug"
format = "json"
access = false
)");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  const Config& config = loaded.config;
  ASSERT_EQ(config.server.listen.size(), 3U);
  EXPECT_EQ(config.server.listen[0], (ListenAddress{"::1", 5000, ""}));
  EXPECT_EQ(config.server.listen[1], (ListenAddress{"", 0, "/run/entrepot/data.sock"}));
  EXPECT_EQ(config.server.listen[2], (ListenAddress{"0.0.0.0", 0, ""}));
  EXPECT_EQ(config.server.threads, 4);
  EXPECT_EQ(config.server.drain_timeout, std::chrono::seconds(90));
  EXPECT_EQ(config.control.listen.path, "/run/entrepot/control.sock");
  EXPECT_FALSE(config.admin.listen.has_value());
  EXPECT_EQ(config.cache.directory, "/srv/relative/cache");
  EXPECT_EQ(config.cache.max_size, (SizeLimit{0, 80}));
  EXPECT_EQ(config.cache.min_free, 1048576U);
  EXPECT_EQ(config.log.level, LogLevel::debug);
  EXPECT_EQ(config.log.format, LogFormat::json);
  EXPECT_FALSE(config.log.access);
}

TEST(Load, SetBeatsTheEnvironmentWhichBeatsTheFileWhichBeatsTheDefault) {
  const std::string file = "[server]\nthreads = 2\n";
  const Environment environment = {{"ENTREPOT_SERVER__THREADS", "3"}};
  EXPECT_EQ(load_text("").config.server.threads, 0);
  EXPECT_EQ(load_text(file).config.server.threads, 2);
  EXPECT_EQ(load_text(file, environment).config.server.threads, 3);
  EXPECT_EQ(load_text(file, environment, {"server.threads=4"}).config.server.threads, 4);
  EXPECT_EQ(load_text("", {}, {"server.threads=4"}).config.server.threads, 4);
}

TEST(Load, PrecedenceHoldsForUpstreamsToo) {
  const std::string file = "[[upstream]]\nname = \"quay.io\"\ntag_ttl = \"2s\"\n";
  const Environment environment = {{"ENTREPOT_UPSTREAM__QUAY_IO__TAG_TTL", "3s"}};
  auto ttl = [](const Loaded& loaded) { return loaded.find("quay.io")->tag_ttl.count(); };
  EXPECT_EQ(ttl(load_text("")), 60'000);
  EXPECT_EQ(ttl(load_text(file)), 2000);
  EXPECT_EQ(ttl(load_text(file, environment)), 3000);
  EXPECT_EQ(ttl(load_text(file, environment, {"upstream.quay.io.tag_ttl=4s"})), 4000);
}

TEST(Load, AWrongValueIsAnErrorEvenWhereAStrongerOneReplacesIt) {
  Loaded loaded = load_text("[server]\nthreads = 99\n", {}, {"server.threads=1"});
  EXPECT_EQ(loaded.error(), "2:11: server.threads: must be from 0 to 16");
}

TEST(Load, TheCacheGoesWhereTheServiceManagerOrTheUserKeepsState) {
  Inputs inputs = plain_inputs();
  EXPECT_EQ(load_inputs(inputs).config.cache.directory, "/home/me/.cache/entrepot");
  inputs.environment["XDG_CACHE_HOME"] = "/xdg";
  EXPECT_EQ(load_inputs(inputs).config.cache.directory, "/xdg/entrepot");
  inputs.is_root = true;
  EXPECT_EQ(load_inputs(inputs).config.cache.directory, "/var/lib/entrepot");
  inputs.environment["STATE_DIRECTORY"] = "/var/lib/private/entrepot:/var/lib/other";
  EXPECT_EQ(load_inputs(inputs).config.cache.directory, "/var/lib/private/entrepot");
  inputs.sets = {"cache.directory=/srv/cache"};
  EXPECT_EQ(load_inputs(inputs).config.cache.directory, "/srv/cache");
}

TEST(Load, ARelativeXdgDirectoryIsIgnored) {
  Inputs inputs = plain_inputs();
  inputs.environment["XDG_CACHE_HOME"] = "xdg";
  EXPECT_EQ(load_inputs(inputs).config.cache.directory, "/home/me/.cache/entrepot");
}

TEST(Load, SaysThatNothingTellsWhereTheCacheGoes) {
  Inputs inputs = plain_inputs();
  inputs.environment.clear();
  EXPECT_THAT(load_inputs(inputs).error(), HasSubstr("default: cache.directory: missing"));
}

TEST(Load, RefusesACacheDirectoryThatBelongsToOthersX05) {
  for (std::string directory : {"/", "/tmp", "/tmp/", "/var/tmp", "/srv/..", "//"}) {
    Loaded loaded = load_text("[cache]\ndirectory = \"" + directory + "\"\n");
    EXPECT_THAT(loaded.error(), HasSubstr("2:13: cache.directory: must be a directory of its own"))
        << directory;
  }
  EXPECT_TRUE(load_sets({"cache.directory=/tmp/mine"}).is_good());
}

TEST(Load, RefusesADefaultControlSocketThatNoSocketAddressHolds) {
  std::string directory = "/" + std::string(100, 'a');
  std::string error = load_text("[cache]\ndirectory = \"" + directory + "\"\n").error();
  EXPECT_THAT(error, StartsWith("2:13: cache.directory: its control socket "));
  EXPECT_THAT(error, HasSubstr("set control.listen to a shorter one"));
  EXPECT_TRUE(load_sets({"cache.directory=" + directory, "control.listen=unix:/run/e.sock"}).is_good());
}

TEST(Load, RefusesTheSameAddressTwice) {
  Loaded loaded = load_text("[server]\nlisten = [\"127.0.0.1:5001\"]\n");
  EXPECT_EQ(loaded.error(), "2:10: server.listen: 127.0.0.1:5001 is the default of admin.listen");
  EXPECT_EQ(load_text("[admin]\nlisten = \"127.0.0.1:5000\"\n").error(),
            "2:10: admin.listen: 127.0.0.1:5000 is given twice");
  EXPECT_EQ(load_text("[server]\nlisten = [\"[::1]:1\", \"[::1]:1\"]\n").error(),
            "2:10: server.listen: [::1]:1 is given twice");
  EXPECT_TRUE(load_sets({"server.listen=127.0.0.1:0,127.0.0.1:0", "admin.listen=127.0.0.1:0"}).is_good());
}

TEST(Load, RefusesToListenNowhere) {
  EXPECT_EQ(load_text("[server]\nlisten = []\n").error(), "2:10: server.listen: needs at least one address");
}

TEST(Load, SaysThatTheFileCannotBeRead) {
  Inputs inputs = plain_inputs();
  inputs.file = "/nonexistent/entrepot.toml";
  EXPECT_EQ(to_text(load(inputs).error().at(0)),
            "/nonexistent/entrepot.toml: cannot be read: No such file or directory");
  inputs.file = "/";
  EXPECT_EQ(to_text(load(inputs).error().at(0)), "/: cannot be read: Is a directory");
}

TEST(Load, RefusesAFileOfMoreThanOneMebibyteX01) {
  const std::string comment = "# 34567890123456789012345678901\n";  // 32 bytes
  std::string text;
  while (text.size() < (1U << 20)) text += comment;
  EXPECT_TRUE(load_text(text).is_good());
  EXPECT_THAT(load_text(text + "#").error(), HasSubstr("is larger than 1MiB"));
}

TEST(Load, TheErrorsOfAFileThatCannotBeReadComeWithThoseOfTheOtherSources) {
  Inputs inputs = plain_inputs();
  inputs.file = "/nonexistent";
  inputs.sets = {"server.threads=99"};
  EXPECT_EQ(load_inputs(inputs).errors.size(), 2U);
}

TEST(ProcessInputs, TakeOnlyWhatConcernsTheConfiguration) {
  setenv("ENTREPOT_LOG__LEVEL", "warn", 1);
  setenv("SOME_PASSWORD", "canary", 1);
  Inputs inputs = process_inputs("file", {"a=b"});
  unsetenv("ENTREPOT_LOG__LEVEL");
  unsetenv("SOME_PASSWORD");
  EXPECT_EQ(inputs.environment.at("ENTREPOT_LOG__LEVEL"), "warn");
  EXPECT_FALSE(inputs.environment.contains("SOME_PASSWORD"));
  EXPECT_EQ(inputs.file, "file");
  EXPECT_THAT(inputs.sets, ElementsAre("a=b"));
  EXPECT_TRUE(inputs.working_directory.starts_with('/'));
}

}  // namespace
}  // namespace entrepot::config::testing
