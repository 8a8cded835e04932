#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config_testing.h"
#include "proxy/config/key.h"

// The environment and --set.

namespace entrepot::config::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Variables, AreNamedAfterTheirKeys) {
  EXPECT_EQ(variable_of(key_of("cache", "max_size")), "ENTREPOT_CACHE__MAX_SIZE");
  EXPECT_EQ(variable_of(key_of("", "builtin_upstreams")), "ENTREPOT_BUILTIN_UPSTREAMS");
  EXPECT_EQ(variable_of(key_of("server.tls", "client_ca")), "ENTREPOT_SERVER__TLS__CLIENT_CA");
  EXPECT_EQ(variable_of(key_of("upstream", "username"), "quay.io"), "ENTREPOT_UPSTREAM__QUAY_IO__USERNAME");
  EXPECT_EQ(variable_of(key_of("upstream", "url"), "my-registry.local:5000"),
            "ENTREPOT_UPSTREAM__MY_REGISTRY_LOCAL_5000__URL");
}

TEST(Variables, SetEveryKindOfValue) {
  Loaded loaded = load_text("", {{"ENTREPOT_SERVER__LISTEN", "127.0.0.1:1, [::1]:2"},
                                 {"ENTREPOT_CACHE__MAX_SIZE", "5GiB"},
                                 {"ENTREPOT_LOG__ACCESS", "false"},
                                 {"ENTREPOT_SERVER__THREADS", "3"},
                                 {"ENTREPOT_BUILTIN_UPSTREAMS", "false"},
                                 {"ENTREPOT_SERVER__TLS__KEY", ""},
                                 {"ENTREPOT_UPSTREAM__QUAY_IO__TRUSTED_REALMS", "[\"auth.example:8443\"]"}});
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  ASSERT_EQ(loaded.config.server.listen.size(), 2U);
  EXPECT_EQ(loaded.config.server.listen[1].text(), "[::1]:2");
  EXPECT_EQ(loaded.config.cache.max_size.bytes, 5ULL << 30);
  EXPECT_FALSE(loaded.config.log.access);
  EXPECT_EQ(loaded.config.server.threads, 3);
  ASSERT_EQ(loaded.config.upstreams.size(), 1U);
  EXPECT_THAT(loaded.config.upstreams[0].trusted_realms, ElementsAre("auth.example:8443"));
}

TEST(Variables, AreNamedInErrors) {
  EXPECT_EQ(load_text("", {{"ENTREPOT_SERVER__THREADS", "many"}}).error(),
            "environment variable ENTREPOT_SERVER__THREADS: server.threads: must be an integer");
  EXPECT_EQ(load_text("", {{"ENTREPOT_LOG__ACCESS", "yes"}}).error(),
            "environment variable ENTREPOT_LOG__ACCESS: log.access: must be true or false");
}

TEST(Variables, OfNoKeyAreErrorsWithTheNearestOne) {
  EXPECT_EQ(load_text("", {{"ENTREPOT_CACHE__MAXSIZE", "1"}}).error(),
            "environment variable ENTREPOT_CACHE__MAXSIZE: no key has this variable (did you mean "
            "ENTREPOT_CACHE__MAX_SIZE?)");
  EXPECT_THAT(load_text("", {{"ENTREPOT_CACHE_MAX_SIZE", "1GiB"}}).error(),
              HasSubstr("did you mean ENTREPOT_CACHE__MAX_SIZE?"));
  EXPECT_THAT(load_text("", {{"ENTREPOT_UPSTREAM__QUAY_IO__TAGTTL", "1s"}}).error(),
              HasSubstr("did you mean tag_ttl?"));
  EXPECT_THAT(load_text("", {{"ENTREPOT_UPSTREAM__QUAI_IO__TAG_TTL", "1s"}}).error(),
              HasSubstr("did you mean QUAY_IO?"));
  EXPECT_THAT(load_text("", {{"ENTREPOT_UPSTREAM__QUAY_IO", "1s"}}).error(),
              HasSubstr("ENTREPOT_UPSTREAM__<NAME>__<KEY>"));
}

TEST(Variables, ThatKubernetesSetsAreLeftAlone) {
  EXPECT_TRUE(load_text("", {{"ENTREPOT_SERVICE_HOST", "10.0.0.1"},
                             {"ENTREPOT_SERVICE_PORT_HTTP", "5000"},
                             {"ENTREPOT_PORT", "tcp://10.0.0.1:5000"},
                             {"ENTREPOT_PORT_5000_TCP_ADDR", "10.0.0.1"}})
                  .is_good());
}

TEST(Variables, MakeAnUpstreamByItsName) {
  Loaded loaded =
      load_text("", {{"ENTREPOT_UPSTREAM__REGISTRY_EXAMPLE_COM__NAME", "registry.example.com"},
                     {"ENTREPOT_UPSTREAM__REGISTRY_EXAMPLE_COM__URL", "https://registry.example.com/p"}});
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  EXPECT_EQ(loaded.find("registry.example.com")->url, "https://registry.example.com/p");
  EXPECT_THAT(load_text("", {{"ENTREPOT_UPSTREAM__OTHER__NAME", "registry.example.com"}}).error(),
              HasSubstr("the variable of this name is ENTREPOT_UPSTREAM__REGISTRY_EXAMPLE_COM__NAME"));
  EXPECT_THAT(load_text("", {{"ENTREPOT_UPSTREAM__QUAY_IO__NAME", "ghcr.io"}}).error(),
              HasSubstr("cannot be renamed"));
}

TEST(Variables, ThatMeanTwoUpstreamsAreErrors) {
  const std::string file =
      "[[upstream]]\nname = \"a-b.example\"\nurl = \"https://x\"\n[[upstream]]\nname = \"a.b.example\"\nurl "
      "= \"https://y\"\n";
  EXPECT_THAT(load_text(file, {{"ENTREPOT_UPSTREAM__A_B_EXAMPLE__TAG_TTL", "1s"}}).error(),
              HasSubstr("means both a-b.example and a.b.example"));
}

TEST(Variables, ThatHoldAPasswordAreTheUsersOwnX07) {
  const std::string file =
      "[[upstream]]\nname = \"quay.io\"\nusername = \"me\"\npassword_env = "
      "\"ENTREPOT_UPSTREAM__QUAY_IO__PASSWORD\"\n"
      "access = \"shared\"\nallow_unauthenticated_private = true\n";
  Loaded loaded = load_text(file, {{"ENTREPOT_UPSTREAM__QUAY_IO__PASSWORD", "canary"}});
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  EXPECT_EQ(loaded.find("quay.io")->password_env, "ENTREPOT_UPSTREAM__QUAY_IO__PASSWORD");
  EXPECT_THAT(to_toml(loaded.config), Not(HasSubstr("canary")));
}

TEST(Secrets, AreRefusedOnTheCommandLineInTheEnvironmentAndInTheFileAndNeverQuotedX07) {
  for (const Loaded& loaded : {load_sets({"upstream.quay.io.password=canary"}),
                               load_text("", {{"ENTREPOT_UPSTREAM__QUAY_IO__PASSWORD", "canary"}}),
                               load_text("[[upstream]]\nname = \"quay.io\"\npassword = \"canary\"\n")}) {
    EXPECT_THAT(loaded.error(), HasSubstr("upstream.quay.io.password: there is no such key"));
    EXPECT_THAT(loaded.error(), HasSubstr("use password_file or password_env"));
    EXPECT_THAT(loaded.error(), Not(HasSubstr("canary")));
  }
  EXPECT_THAT(load_sets({"canary"}).error(), Not(HasSubstr("canary")));
}

TEST(Secrets, InUrlsAreRefusedAndNeverQuotedX03) {
  for (std::string set :
       {"upstream.quay.io.url=https://me:canary@quay.io", "upstream.quay.io.url=https://canary@quay.io",
        "upstream.quay.io.proxy=http://me:canary@proxy:3128", "upstream.quay.io.url=https://a/b@canary"}) {
    EXPECT_THAT(load_sets({set}).error(), HasSubstr("must not hold")) << set;
    EXPECT_THAT(load_sets({set}).error(), Not(HasSubstr("canary"))) << set;
  }
}

TEST(Mirrors, AreListsInTheEnvironmentAndInSet) {
  for (const char* text :
       {"https://a.example,https://b.example", "[\"https://a.example\", \"https://b.example\"]"}) {
    for (const Loaded& loaded : {load_text("", {{"ENTREPOT_UPSTREAM__QUAY_IO__MIRRORS", text}}),
                                 load_sets({"upstream.quay.io.mirrors=" + std::string(text)})}) {
      ASSERT_TRUE(loaded.is_good()) << loaded.error();
      EXPECT_THAT(loaded.find("quay.io")->mirrors, ElementsAre("https://a.example", "https://b.example"));
      EXPECT_THAT(to_toml(loaded.config),
                  HasSubstr("mirrors = [\"https://a.example\", \"https://b.example\"]\n"));
    }
  }
}

TEST(Set, AddressesUpstreamsByNamesWithDots) {
  Loaded loaded = load_sets(
      {"upstream.docker.io.url=http://127.0.0.1:5001", "upstream.new.example.url=https://new.example/a=b"});
  EXPECT_THAT(loaded.error(), HasSubstr("the path prefix may hold"));
  loaded = load_sets(
      {"upstream.docker.io.url=http://127.0.0.1:5001", "upstream.new.example:5000.url=https://new.example"});
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  EXPECT_EQ(loaded.find("docker.io")->url, "http://127.0.0.1:5001");
  EXPECT_EQ(loaded.find("new.example:5000")->url, "https://new.example");
}

TEST(Set, NamesItsKeyInErrors) {
  EXPECT_EQ(load_sets({"cache.max_sise=1GiB"}).error(),
            "--set cache.max_sise: cache.max_sise: unknown key (did you mean max_size?)");
  EXPECT_EQ(load_sets({"cahce.max_size=1GiB"}).error(),
            "--set cahce.max_size: cahce.max_size: unknown key (did you mean cache.max_size?)");
  EXPECT_EQ(load_sets({"server.threads=x"}).error(),
            "--set server.threads: server.threads: must be an integer");
  EXPECT_EQ(load_sets({"server.threads"}).error(), "--set: must be KEY=VALUE, like cache.max_size=5GiB");
  EXPECT_THAT(load_sets({"upstream.url=https://a"}).error(), HasSubstr("needs the upstream's name"));
  EXPECT_THAT(load_sets({"upstream.UPPER.url=https://a"}).error(), HasSubstr("must be written as \"upper\""));
  EXPECT_THAT(load_sets({"upstream.quay.io.name=ghcr.io"}).error(), HasSubstr("cannot be renamed"));
}

TEST(Set, TakesEachKeyOnce) {
  EXPECT_EQ(load_sets({"server.threads=1", "server.threads=1"}).error(),
            "--set server.threads: server.threads: is given twice");
}

TEST(Set, TakesListsInBothForms) {
  EXPECT_EQ(load_sets({"server.listen=127.0.0.1:1,127.0.0.1:2"}).config.server.listen.size(), 2U);
  EXPECT_EQ(load_sets({"server.listen=[\"127.0.0.1:1\", \"127.0.0.1:2\"]"}).config.server.listen.size(), 2U);
  EXPECT_EQ(load_sets({"server.listen=[::1]:5000"}).config.server.listen.size(), 1U);
  EXPECT_TRUE(load_sets({"upstream.quay.io.trusted_realms=[]"}).is_good());
  EXPECT_THAT(load_sets({"server.listen=[\"127.0.0.1:1\""}).error(), HasSubstr("must be a list"));
  EXPECT_THAT(load_sets({"server.listen=127.0.0.1:1,,"}).error(), HasSubstr("holds an empty entry"));
  EXPECT_THAT(load_sets({"server.listen=[\"127.0.0.1:1\"]\n[log]\nlevel=\"info\""}).error(),
              HasSubstr("must be a list"));
}

}  // namespace
}  // namespace entrepot::config::testing
