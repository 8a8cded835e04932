// Redirects through the real client: which are followed, and what their targets see.

#include <gtest/gtest.h>

#include "harness.h"
#include "scripted_server.h"

namespace entrepot::upstream::testing {
namespace {

const std::string kContent = "blob";
const Digest kDigest = Digest::of(kContent);
constexpr const char* kBasic = "Basic dXNlcjpzZWNyZXQ=";

std::string redirect(int status, const std::string& location) {
  return response(status, "Location: " + location + "\r\n", "");
}

Settings basic_settings(const std::string& url) {
  Settings settings = settings_with_credential(url, "secret");
  settings.auth = Auth::basic;
  settings.allow_private = {"127.0.0.0/8"};
  return settings;
}

TEST(RedirectFlow, TargetOnAnotherPortSeesNoAuthorization) {
  for (int status : {301, 302, 303, 307, 308}) {
    ScriptedServer target(
        [](const SeenRequest&, Connection& connection) { connection.send(response(200, "", kContent)); });
    ScriptedServer server([&](const SeenRequest&, Connection& connection) {
      connection.send(redirect(status, target.url() + "/data?signature=s"));
    });
    Harness harness(basic_settings(server.url()));
    Result<std::string> blob = harness.get_blob("a", kDigest).get();
    ASSERT_TRUE(blob) << blob.error().message;
    EXPECT_EQ(*blob, kContent);
    ASSERT_EQ(target.requests().size(), 1U);
    EXPECT_EQ(target.requests()[0].header("authorization"), "");
    EXPECT_EQ(target.requests()[0].header("cookie") + target.requests()[0].header("referer"), "");
    EXPECT_EQ(target.requests()[0].target, "/data?signature=s");
    EXPECT_EQ(server.requests()[0].header("authorization"), kBasic)
        << "positive control: it is sent to the registry";
  }
}

TEST(RedirectFlow, SameOriginKeepsAuthorizationAndRelativeTargetsWork) {
  ScriptedServer server([](const SeenRequest& request, Connection& connection) {
    connection.send(request.target == "/v2/a/other?x=1" ? response(200, "", kContent)
                                                        : redirect(307, "../other?x=1"));
  });
  Harness harness(basic_settings(server.url()));
  Result<std::string> blob = harness.get_blob("a", kDigest).get();
  ASSERT_TRUE(blob) << blob.error().message;
  EXPECT_EQ(server.requests()[1].header("authorization"), kBasic);
}

TEST(RedirectFlow, AuthorizationDoesNotComeBackAfterADetour) {
  std::string home;
  ScriptedServer target(
      [&](const SeenRequest&, Connection& connection) { connection.send(redirect(307, home + "/back")); });
  ScriptedServer server([&](const SeenRequest& request, Connection& connection) {
    connection.send(request.target == "/back" ? response(200, "", kContent)
                                              : redirect(307, target.url() + "/x"));
  });
  home = server.url();
  Harness harness(basic_settings(server.url()));
  ASSERT_TRUE(harness.get_blob("a", kDigest).get());
  EXPECT_EQ(server.requests()[0].header("authorization"), kBasic);
  EXPECT_EQ(server.requests()[1].header("authorization"), "");
}

TEST(RedirectFlow, ChallengeOfARedirectTargetIsNotAnswered) {
  std::string url;
  ScriptedServer target([&](const SeenRequest&, Connection& connection) {
    connection.send(response(
        401,
        "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Bearer realm=\"" + url + "/token\"\r\n",
        ""));
  });
  url = target.url();
  ScriptedServer server([&](const SeenRequest&, Connection& connection) {
    connection.send(redirect(307, target.url() + "/data"));
  });
  Harness harness(basic_settings(server.url()));
  Result<std::string> blob = harness.get_blob("a", kDigest).get();
  ASSERT_FALSE(blob);
  EXPECT_EQ(blob.error().code, Errc::denied);
  // The registry was asked for another URL, once; the target's challenge was not answered.
  EXPECT_EQ(target.requests().size(), 2U);
  EXPECT_EQ(server.requests().size(), 2U);
  for (const SeenRequest& request : target.requests()) EXPECT_EQ(request.header("authorization"), "");
}

TEST(RedirectFlow, SignatureThatHasEndedIsAskedForAnew) {
  ScriptedServer target([](const SeenRequest& request, Connection& connection) {
    bool is_old = request.target.find("old") != std::string::npos;
    connection.send(is_old ? response(403, "", "<Error/>") : response(200, "", "content"));
  });
  bool is_first = true;
  ScriptedServer server([&](const SeenRequest&, Connection& connection) {
    connection.send(redirect(307, target.url() + (is_first ? "/data?signature=old" : "/data?signature=new")));
    is_first = false;
  });
  Harness harness(basic_settings(server.url()));
  Result<std::string> blob = harness.get_blob("a", kDigest).get();
  ASSERT_TRUE(blob) << blob.error().message;
  EXPECT_EQ(*blob, "content");
}

TEST(RedirectFlow, HeadRefusedAtATargetIsAskedByGet) {
  ScriptedServer target([](const SeenRequest& request, Connection& connection) {
    connection.send(request.method == "HEAD" ? response(403, "", "") : response(200, "", "{}"));
  });
  ScriptedServer server([&](const SeenRequest&, Connection& connection) {
    connection.send(redirect(302, target.url() + "/manifest"));
  });
  Settings settings = settings_for(server.url());
  settings.allow_private = {"127.0.0.1"};
  Harness harness(settings);
  Result<ManifestHead> head = harness.head_manifest("a", "1").get();
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->digest, Digest::of("{}"));
}

TEST(RedirectFlow, FiveHopsAreFollowedAndSixAreNot) {
  for (int hops : {5, 6}) {
    ScriptedServer server([hops](const SeenRequest& request, Connection& connection) {
      int at = request.target.starts_with("/hop") ? std::stoi(request.target.substr(4)) : 0;
      connection.send(at == hops ? response(200, "", kContent)
                                 : redirect(307, "/hop" + std::to_string(at + 1)));
    });
    Harness harness(settings_for(server.url()));
    Result<std::string> blob = harness.get_blob("a", kDigest).get();
    EXPECT_EQ(blob.has_value(), hops == 5);
    if (!blob) {
      EXPECT_EQ(blob.error().code, Errc::policy_refused);
    }
    EXPECT_EQ(server.requests().size(), 6U);
  }
}

TEST(RedirectFlow, TargetsThatAreNotFollowedAreNotDialled) {
  ScriptedServer target(
      [](const SeenRequest&, Connection& connection) { connection.send(response(200, "", kContent)); });
  const std::string port = std::to_string(target.port());
  const std::vector<std::string> locations = {"ftp://127.0.0.1/",
                                              "file:///etc/passwd",
                                              "gopher://127.0.0.1/",
                                              "",
                                              "http://user:pw@127.0.0.1:" + port + "/",
                                              "http://127.0.0.1:" + port + "\\@good/",
                                              "\\\\127.0.0.1:" + port + "/",
                                              "//127.0.0.1:" + port + "/",
                                              "http://127.1:" + port + "/",
                                              "http://0x7f000001:" + port + "/",
                                              "http://2130706433:" + port + "/",
                                              "http://[::ffff:127.0.0.1]:" + port + "/",
                                              "http://localhost:" + port + "/",
                                              "http://0.0.0.0:" + port + "/",
                                              "http://169.254.169.254/latest/meta-data",
                                              "http://good%2f@127.0.0.1:" + port + "/",
                                              "http://a b/",
                                              "/" + std::string(9000, 'x')};
  for (const std::string& location : locations) {
    ScriptedServer server(
        [&](const SeenRequest&, Connection& connection) { connection.send(redirect(307, location)); });
    Harness harness(settings_for(server.url()));
    Result<std::string> blob = harness.get_blob("a", kDigest).get();
    ASSERT_FALSE(blob) << location;
    EXPECT_EQ(blob.error().code, Errc::policy_refused) << location << ": " << blob.error().message;
  }
  EXPECT_EQ(target.connections(), 0U);

  ScriptedServer server(
      [&](const SeenRequest&, Connection& connection) { connection.send(redirect(307, target.url())); });
  Settings settings = settings_for(server.url());
  settings.allow_private = {"127.0.0.0/8"};
  Harness harness(settings);
  EXPECT_TRUE(harness.get_blob("a", kDigest).get()) << "positive control: the target can be reached";
}

}  // namespace
}  // namespace entrepot::upstream::testing
