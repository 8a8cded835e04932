#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config_testing.h"
#include "proxy/config/builtin.h"

namespace entrepot::config::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using upstream::Access;
using upstream::Auth;
using upstream::Settings;

TEST(Builtins, AreThereWithTheirUrls) {
  Loaded loaded = load_text("");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  std::vector<std::string> names;
  for (const Settings& settings : loaded.config.upstreams) names.push_back(settings.name);
  EXPECT_THAT(names, ElementsAre("docker.io", "quay.io", "ghcr.io", "public.ecr.aws", "registry.k8s.io",
                                 "gcr.io", "mcr.microsoft.com"));
  for (const Settings& settings : loaded.config.upstreams) {
    bool is_hub = settings.name == "docker.io";
    EXPECT_EQ(settings.url, is_hub ? "https://registry-1.docker.io" : "https://" + settings.name);
    EXPECT_EQ(settings.is_default, is_hub) << settings.name;
    EXPECT_EQ(settings.adds_library, is_hub) << settings.name;
    EXPECT_EQ(settings.auth, Auth::automatic);
    EXPECT_EQ(settings.access, Access::anonymous);
    EXPECT_EQ(settings.max_connections, 32);
    EXPECT_EQ(settings.connect_timeout, std::chrono::seconds(10));
    EXPECT_EQ(settings.header_timeout, std::chrono::seconds(30));
    EXPECT_EQ(settings.tag_ttl, std::chrono::seconds(60));
  }
  EXPECT_THAT(loaded.find("docker.io")->aliases,
              ElementsAre("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"));
  EXPECT_THAT(loaded.find("quay.io")->aliases, IsEmpty());
}

TEST(Builtins, AreExtendedByATableOfTheirName) {
  Loaded loaded = load_text(
      "[[upstream]]\nname = \"docker.io\"\nurl = \"http://127.0.0.1:5001/\"\naliases = [\"hub.local\"]\n");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  const Settings& hub = *loaded.find("docker.io");
  EXPECT_EQ(hub.url, "http://127.0.0.1:5001");
  EXPECT_TRUE(hub.adds_library);
  EXPECT_TRUE(hub.is_default);
  EXPECT_THAT(hub.aliases,
              ElementsAre("hub.local", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"));
  EXPECT_EQ(loaded.config.upstreams.size(), all_builtins().size());
}

TEST(Builtins, ThatNothingNamesGoWithBuiltinUpstreamsFalse) {
  Loaded loaded = load_text("builtin_upstreams = false\n[[upstream]]\nname = \"quay.io\"\n");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  ASSERT_EQ(loaded.config.upstreams.size(), 1U);
  EXPECT_EQ(loaded.config.upstreams[0].name, "quay.io");
  EXPECT_FALSE(loaded.config.upstreams[0].is_default);
}

TEST(Builtins, FalseWithoutAnyUpstreamIsAnError) {
  EXPECT_EQ(load_text("builtin_upstreams = false\n").error(),
            "1:21: builtin_upstreams: false without any [[upstream]] leaves nothing to serve");
}

TEST(Default, IsTakenFromDockerHubByAConfiguredUpstream) {
  Loaded loaded = load_text("[[upstream]]\nname = \"quay.io\"\ndefault = true\n");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  EXPECT_TRUE(loaded.find("quay.io")->is_default);
  EXPECT_FALSE(loaded.find("docker.io")->is_default);
}

TEST(Default, CanBeSaidByOneOnly) {
  EXPECT_EQ(load_text("[[upstream]]\nname = \"quay.io\"\ndefault = true\n[[upstream]]\nname = "
                      "\"ghcr.io\"\ndefault = true\n")
                .error(),
            "6:11: upstream.ghcr.io.default: quay.io is the default already");
  EXPECT_EQ(load_text("[[upstream]]\nname = \"quay.io\"\ndefault = true\n[[upstream]]\nname = "
                      "\"docker.io\"\ndefault = true\n")
                .error(),
            "3:11: upstream.quay.io.default: docker.io is the default already");
}

TEST(Default, CanBeNobody) {
  Loaded loaded = load_text("[[upstream]]\nname = \"docker.io\"\ndefault = false\n");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  for (const Settings& settings : loaded.config.upstreams) EXPECT_FALSE(settings.is_default) << settings.name;
}

TEST(Upstream, OfAnUnknownNameNeedsAUrl) {
  EXPECT_EQ(
      load_text("[[upstream]]\nname = \"registry.example\"\n").error(),
      "2:8: upstream.registry.example.url: missing: \"registry.example\" is not built in, so it needs a url");
  EXPECT_TRUE(
      load_text("[[upstream]]\nname = \"registry.example\"\nurl = \"https://registry.example\"\n").is_good());
}

TEST(Upstream, NeedsAName) {
  EXPECT_EQ(load_text("\n[[upstream]]\nurl = \"https://a\"\n").error(),
            "2:1: upstream.name: missing: every [[upstream]] needs a name");
  EXPECT_THAT(load_text("[[upstream]]\nname = \"\"\n").error(), HasSubstr("2:8: upstream.name: "));
}

TEST(Upstream, IsNamedOnceX06) {
  EXPECT_EQ(load_text("[[upstream]]\nname = \"quay.io\"\n[[upstream]]\nname = \"quay.io\"\n").error(),
            "4:8: upstream.quay.io.name: a second [[upstream]] of this name; the first is in line 2");
}

TEST(Upstream, HasNamesAndAliasesToItselfX06) {
  EXPECT_EQ(load_text("[[upstream]]\nname = \"quay.io\"\naliases = [\"ghcr.io\"]\n").error(),
            "3:11: upstream.quay.io.aliases: \"ghcr.io\" is a name of ghcr.io already");
  EXPECT_EQ(load_text("[[upstream]]\nname = \"quay.io\"\naliases = [\"q\", \"q\"]\n").error(),
            "3:11: upstream.quay.io.aliases: \"q\" is a name of quay.io already");
  EXPECT_EQ(load_text("[[upstream]]\nname = \"quay.io\"\naliases = [\"q\"]\n[[upstream]]\nname = "
                      "\"ghcr.io\"\naliases = [\"q\"]\n")
                .error(),
            "6:11: upstream.ghcr.io.aliases: \"q\" is a name of quay.io already");
  EXPECT_EQ(load_text("[[upstream]]\nname = \"quay.io\"\naliases = [\"index.docker.io\"]\n").error(),
            "3:11: upstream.quay.io.aliases: \"index.docker.io\" is a name of docker.io already");
  EXPECT_EQ(
      load_text("[[upstream]]\nname = \"index.docker.io\"\nurl = \"https://index.docker.io\"\n").error(),
      "2:8: upstream.index.docker.io.name: \"index.docker.io\" is a name of the built-in docker.io already");
  EXPECT_TRUE(
      load_text("builtin_upstreams = false\n[[upstream]]\nname = \"quay.io\"\naliases = [\"ghcr.io\"]\n")
          .is_good());
}

TEST(Upstream, MayRepeatTheAliasesItIsBuiltWith) {
  Loaded loaded = load_text("[[upstream]]\nname = \"docker.io\"\naliases = [\"index.docker.io\"]\n");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  EXPECT_EQ(loaded.find("docker.io")->aliases.size(), 3U);
}

// A table for quay.io whose further keys begin in line 3.
Loaded load_quay(const std::string& keys) { return load_text("[[upstream]]\nname = \"quay.io\"\n" + keys); }
const std::string kShared = "access = \"shared\"\nallow_unauthenticated_private = true\n";

// A private registry of Amazon ECR, whose further keys begin in line 3.
Loaded load_ecr(const std::string& keys) {
  return load_text("[[upstream]]\nname = \"123456789012.dkr.ecr.eu-central-1.amazonaws.com\"\n" + keys);
}

TEST(Ecr, NeedsNothingButAccess) {
  Loaded loaded = load_ecr("access = \"shared\"\nallow_unauthenticated_private = true\n");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  const upstream::Settings& settings = *loaded.find("123456789012.dkr.ecr.eu-central-1.amazonaws.com");
  EXPECT_EQ(settings.url, "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com");
  EXPECT_EQ(settings.auth, upstream::Auth::ecr);
}

TEST(Ecr, ByAPasswordIsBasic) {
  Loaded loaded = load_ecr(
      "auth = \"basic\"\nusername = \"AWS\"\npassword_file = \"/p\"\naccess = \"shared\"\n"
      "allow_unauthenticated_private = true\n");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  EXPECT_EQ(loaded.find("123456789012.dkr.ecr.eu-central-1.amazonaws.com")->auth, upstream::Auth::basic);
}

TEST(Ecr, BehindAnotherNameNeedsItsRegionAndEndpoint) {
  const std::string table =
      "[[upstream]]\nname = \"ecr.test\"\nurl = \"https://ecr.test\"\nauth = \"ecr\"\naccess = "
      "\"shared\"\n"
      "allow_unauthenticated_private = true\n";
  EXPECT_EQ(load_text(table).error(),
            "2:8: upstream.ecr.test.ecr_region: missing: the url's host name does not tell the region\n"
            "2:8: upstream.ecr.test.ecr_endpoint: missing: the url's host name is none of Amazon ECR's");
  Loaded loaded = load_text(table + "ecr_region = \"eu-west-1\"\necr_endpoint = \"https://api.test\"\n");
  EXPECT_TRUE(loaded.is_good()) << loaded.error();
}

TEST(Ecr, IsWhatTheUrlsHostSaysAndNotTheName) {
  const std::string shared = "access = \"shared\"\nallow_unauthenticated_private = true\n";
  Loaded loaded = load_text("[[upstream]]\nname = \"public.ecr.aws\"\n" + shared);
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  EXPECT_EQ(loaded.find("public.ecr.aws")->auth, upstream::Auth::ecr);
  const std::string elsewhere =
      "[[upstream]]\nname = \"public.ecr.aws\"\nurl = \"https://harbor.test/ecr\"\n" + shared;
  EXPECT_THAT(load_text(elsewhere).error(), HasSubstr("access: \"shared\" needs a credential"));
  EXPECT_THAT(load_text(elsewhere + "auth = \"ecr\"\n").error(), HasSubstr("ecr_endpoint: missing"));
}

TEST(Ecr, ErrorsNameWhatContradicts) {
  EXPECT_EQ(load_ecr("").error(),
            "2:8: upstream.123456789012.dkr.ecr.eu-central-1.amazonaws.com.access: Amazon ECR answers nobody "
            "without a credential: set access = \"shared\"");
  EXPECT_THAT(load_ecr("auth = \"ecr\"\n").error(), HasSubstr("auth: \"ecr\" contradicts access"));
  EXPECT_THAT(load_quay("aws_profile = \"ci\"\n").error(), HasSubstr("aws_profile: needs auth = \"ecr\""));
  EXPECT_THAT(load_ecr("access = \"shared\"\nallow_unauthenticated_private = true\necr_endpoint = "
                       "\"http://api.test\"\n")
                  .error(),
              HasSubstr("ecr_endpoint: a credential must not go over plain http://"));
}

TEST(Credential, IsTakenWhole) {
  Loaded loaded =
      load_quay("username = \"me\"\npassword_file = \"/run/secret\"\nauth = \"basic\"\n" + kShared);
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  const Settings& quay = *loaded.find("quay.io");
  EXPECT_EQ(quay.username, "me");
  EXPECT_EQ(quay.password_file, "/run/secret");
  EXPECT_EQ(quay.auth, Auth::basic);
  EXPECT_EQ(quay.access, Access::shared);
}

TEST(Credential, HasAUserAndOnePassword) {
  EXPECT_EQ(load_quay("username = \"me\"\n" + kShared).error(),
            "3:12: upstream.quay.io.username: needs password_file or password_env");
  EXPECT_EQ(load_quay("username = \"me\"\npassword_file = \"/p\"\npassword_env = \"P\"\n" + kShared).error(),
            "5:16: upstream.quay.io.password_env: give password_file or password_env, not both");
  EXPECT_EQ(load_quay("password_file = \"/p\"\n").error(),
            "3:17: upstream.quay.io.password_file: needs a username");
  EXPECT_EQ(load_quay("password_env = \"P\"\n").error(),
            "3:16: upstream.quay.io.password_env: needs a username");
  EXPECT_EQ(load_quay("auth = \"basic\"\n").error(),
            "3:8: upstream.quay.io.auth: \"basic\" needs username and a password, or docker_config");
  EXPECT_EQ(load_quay("auth = \"anonymous\"\nusername = \"me\"\npassword_env = \"P\"\n" + kShared).error(),
            "3:8: upstream.quay.io.auth: \"anonymous\" contradicts username");
}

TEST(Credential, MayComeOutOfADockerConfig) {
  const std::string config = "docker_config = \"/c.json\"\n";
  Loaded loaded = load_text("[[upstream]]\nname = \"quay.io\"\n" + config + kShared);
  ASSERT_NE(loaded.find("quay.io"), nullptr) << loaded.error();
  EXPECT_EQ(loaded.find("quay.io")->docker_config, "/c.json");
  EXPECT_EQ(load_quay(config).error(),
            "3:17: upstream.quay.io.docker_config: contradicts access = \"anonymous\", which sends no "
            "credential; set access = \"shared\"");
  EXPECT_THAT(load_quay(config + "username = \"me\"\npassword_env = \"P\"\n" + kShared).error(),
              HasSubstr("give docker_config or a username with its password, not both"));
  EXPECT_THAT(load_quay(config + "auth = \"anonymous\"\n" + kShared).error(),
              HasSubstr("\"anonymous\" contradicts docker_config"));
  EXPECT_THAT(load_quay(config + "url = \"http://10.0.0.1\"\n" + kShared).error(),
              HasSubstr("a credential must not go over plain http://"));
  // Docker's own program for ECR is as good as the AWS credentials.
  const std::string ecr = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
  Loaded at_ecr = load_text("[[upstream]]\nname = \"" + ecr + "\"\n" + config + kShared);
  ASSERT_NE(at_ecr.find(ecr), nullptr) << at_ecr.error();
  EXPECT_EQ(at_ecr.find(ecr)->auth, upstream::Auth::automatic);
}

TEST(Credential, HasNoPasswordInItsUserName) {
  std::string error = load_quay("username = \"me:canary\"\npassword_env = \"P\"\n" + kShared).error();
  EXPECT_THAT(error, HasSubstr("3:12: upstream.quay.io.username: must not hold a colon"));
  EXPECT_EQ(error.find("canary"), std::string::npos);
}

TEST(Credential, IsNotQuotedWhereItStandsInANameOrAHost) {
  for (std::string key : {"aliases", "hosts", "trusted_realms"}) {
    std::string error = load_quay(key + " = [\"me:canary@a.example\"]\n").error();
    EXPECT_THAT(error, HasSubstr("must not hold a user name or password")) << key;
    EXPECT_EQ(error.find("canary"), std::string::npos) << key;
  }
}

TEST(Credential, NamesAVariableByAValidName) {
  EXPECT_EQ(load_quay("username = \"me\"\npassword_env = \"not a name\"\n" + kShared).error(),
            "4:16: upstream.quay.io.password_env: must be the name of an environment variable");
}

TEST(Access, AnonymousContradictsAUsername) {
  EXPECT_THAT(load_quay("username = \"me\"\npassword_env = \"P\"\n").error(),
              HasSubstr("3:12: upstream.quay.io.username: contradicts access = \"anonymous\""));
}

TEST(Access, SharedIsSpeltOutAsLongAsClientsCannotAuthenticate) {
  Loaded loaded = load_quay("username = \"me\"\npassword_env = \"P\"\naccess = \"shared\"\n");
  EXPECT_THAT(
      loaded.error(),
      HasSubstr(
          "5:10: upstream.quay.io.access: \"shared\" needs client authentication, which is not built yet"));
  EXPECT_THAT(loaded.error(), HasSubstr("allow_unauthenticated_private = true"));
}

TEST(Access, SharedNeedsACredentialToShare) {
  EXPECT_THAT(load_quay(kShared).error(),
              HasSubstr("3:10: upstream.quay.io.access: \"shared\" needs a credential"));
}

TEST(Access, PublicNeedsACredentialWhoseRateLimitItIs) {
  EXPECT_THAT(load_quay("access = \"public\"\n").error(),
              HasSubstr("3:10: upstream.quay.io.access: \"public\" needs a credential"));
  Loaded loaded = load_quay("access = \"public\"\nusername = \"me\"\npassword_env = \"P\"\n");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  EXPECT_EQ(loaded.find("quay.io")->access, upstream::Access::open);
}

TEST(Access, NothingOfAmazonEcrIsPublicButEcrPublic) {
  EXPECT_THAT(load_ecr("access = \"public\"\n").error(), HasSubstr("nothing there is \"public\""));
  Loaded loaded = load_text("[[upstream]]\nname = \"public.ecr.aws\"\naccess = \"public\"\n");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  EXPECT_EQ(loaded.find("public.ecr.aws")->auth, upstream::Auth::ecr);
}

TEST(PlainHttp, CarriesACredentialToThisMachineOnly) {
  const std::string credential = "username = \"me\"\npassword_env = \"P\"\n" + kShared;
  EXPECT_EQ(load_quay("url = \"http://10.0.0.1:5000\"\n" + credential).error(),
            "3:7: upstream.quay.io.url: a credential must not go over plain http:// to another machine; use "
            "https://");
  for (std::string url :
       {"http://127.0.0.1:5000", "http://[::1]:5000", "http://localhost", "http://127.8.9.1"})
    EXPECT_TRUE(load_quay("url = \"" + url + "\"\n" + credential).is_good()) << url;
  for (std::string url : {"http://127.0.0.1.example.com", "http://localhost.example.com", "http://[::2]"})
    EXPECT_FALSE(load_quay("url = \"" + url + "\"\n" + credential).is_good()) << url;
  EXPECT_TRUE(load_quay("url = \"http://10.0.0.1:5000\"\n").is_good());
}

TEST(Mirrors, KeepTheirOrderAndAreWrittenOneWay) {
  Loaded loaded = load_quay("mirrors = [\"https://B.example/p/\", \"http://10.0.0.1:5000\"]\n");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  EXPECT_THAT(loaded.find("quay.io")->mirrors, ElementsAre("https://b.example/p", "http://10.0.0.1:5000"));
  EXPECT_EQ(loaded.find("quay.io")->url, "https://quay.io");
  EXPECT_THAT(loaded.find("ghcr.io")->mirrors, IsEmpty());
}

TEST(Mirrors, MayBePlainHttpBesideACredentialTheyNeverGet) {
  EXPECT_TRUE(
      load_quay("mirrors = [\"http://10.0.0.1:5000\"]\nusername = \"me\"\npassword_env = \"P\"\n" + kShared)
          .is_good());
}

TEST(Mirrors, ThatAreNoBaseUrlsAreErrorsOfTheirKey) {
  for (std::string url : {"ftp://a.example", "a.example", "https://me:canary@a.example",
                          "https://a.example/?x", "https://a.example/v2", ""}) {
    Loaded loaded = load_quay("mirrors = [\"https://b.example\", \"" + url + "\"]\n");
    EXPECT_THAT(loaded.error(), HasSubstr("upstream.quay.io.mirrors: ")) << url;
    EXPECT_EQ(loaded.errors.size(), 1U) << url;
    EXPECT_EQ(loaded.error().find("canary"), std::string::npos);
  }
}

TEST(Mirrors, StandThereOnce) {
  EXPECT_THAT(load_quay("mirrors = [\"https://quay.io/\"]\n").error(),
              HasSubstr("upstream.quay.io.mirrors: https://quay.io stands there already"));
  EXPECT_THAT(load_quay("mirrors = [\"https://a.example\", \"https://A.example\"]\n").error(),
              HasSubstr("https://a.example stands there already"));
}

TEST(Contradictions, AreNotReportedOfValuesThatWereReportedThemselves) {
  EXPECT_EQ(load_quay("username = \"me\"\npassword_file = 5\n" + kShared).errors.size(), 1U);
  EXPECT_EQ(load_quay("username = 5\npassword_file = \"/p\"\n" + kShared).errors.size(), 1U);
  EXPECT_EQ(load_text("[[upstream]]\nname = \"a.example\"\nurl = \"ftp://a\"\n").errors.size(), 1U);
  EXPECT_EQ(load_quay("username = \"me\"\npassword_env = \"P\"\naccess = \"passthrough\"\n").errors.size(),
            1U);
  EXPECT_EQ(load_text("builtin_upstreams = 5\n").errors.size(), 1U);
}

}  // namespace
}  // namespace entrepot::config::testing
