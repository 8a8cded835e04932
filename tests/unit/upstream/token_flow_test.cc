// Bearer tokens through the real client: who is asked, with what, how often.

#include <gtest/gtest.h>

#include <atomic>

#include "harness.h"
#include "scripted_server.h"

namespace entrepot::upstream::testing {
namespace {

constexpr const char* kManifest = "{\"schemaVersion\":2}";
constexpr const char* kBasic = "Basic dXNlcjpzZWNyZXQ=";

std::string challenge(const std::string& realm) {
  return response(401,
                  "WWW-Authenticate: Bearer realm=\"" + realm +
                      "\",service=\"registry.test\",scope=\"repository:a/b:pull\"\r\n",
                  "{}");
}

std::string grant(const std::string& token) {
  return response(200, "Content-Type: application/json\r\n",
                  "{\"token\":\"" + token + "\",\"expires_in\":300}");
}

// A registry that takes `token` alone and otherwise points to `realm`.
ScriptedServer::Handler registry_with(const std::string& realm, const std::string& token) {
  return [realm, token](const SeenRequest& request, Connection& connection) {
    bool is_good = request.header("authorization") == "Bearer " + token;
    connection.send(is_good ? response(200, "", kManifest) : challenge(realm));
  };
}

TEST(TokenFlow, AnonymousTokenFromTheRegistryItself) {
  std::string url;
  ScriptedServer server([&url](const SeenRequest& request, Connection& connection) {
    if (request.target.starts_with("/token")) return void(connection.send(grant("t1")));
    registry_with(url + "/token", "t1")(request, connection);
  });
  url = server.url();
  Harness harness(settings_for(server.url()));
  Result<ManifestBody> body = harness.get_manifest("a/b", "1").get();
  ASSERT_TRUE(body) << body.error().message;
  ASSERT_TRUE(harness.get_manifest("a/b", "2").get());
  std::vector<SeenRequest> seen = server.requests();
  ASSERT_EQ(seen.size(), 4U) << "two for the first, the token, and one for the second, which has the token";
  EXPECT_EQ(seen[1].target, "/token?service=registry.test&scope=repository%3Aa%2Fb%3Apull");
  EXPECT_EQ(seen[1].header("authorization"), "");
}

TEST(TokenFlow, TrustedRealmOnAnotherPortGetsTheCredential) {
  ScriptedServer service([](const SeenRequest&, Connection& connection) { connection.send(grant("t1")); });
  ScriptedServer server(registry_with(service.url() + "/token?x=1", "t1"));
  Settings settings = settings_with_credential(server.url(), "secret");
  settings.trusted_realms = {service.authority()};
  Harness harness(settings);
  Result<ManifestBody> body = harness.get_manifest("a/b", "1").get();
  ASSERT_TRUE(body) << body.error().message;
  ASSERT_EQ(service.requests().size(), 1U);
  EXPECT_EQ(service.requests()[0].header("authorization"), kBasic);
  EXPECT_TRUE(service.requests()[0].target.starts_with("/token?x=1&service=registry.test&scope="));
}

// CVE-2026-33540: the test above is its positive control, the same realm but for the configuration.
TEST(TokenFlow, Cve202633540UntrustedRealmIsNeverDialledWithACredential) {
  ScriptedServer evil([](const SeenRequest&, Connection& connection) { connection.send(grant("t1")); });
  ScriptedServer server(registry_with(evil.url() + "/token", "t1"));
  Settings settings = settings_with_credential(server.url(), "secret");
  settings.allow_private = {"127.0.0.0/8"};
  Harness harness(settings);
  Result<ManifestBody> body = harness.get_manifest("a/b", "1").get();
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().code, Errc::policy_refused);
  EXPECT_EQ(evil.connections(), 0U);
  EXPECT_NE(harness.metrics().render().find("entrepot_upstream_realm_rejected_total{upstream=\"up.test\"} 1"),
            std::string::npos);
}

TEST(TokenFlow, AnonymousRealmOnAPrivateAddressIsDialledOnlyWhenAllowed) {
  ScriptedServer service([](const SeenRequest&, Connection& connection) { connection.send(grant("t1")); });
  ScriptedServer server(registry_with(service.url() + "/token", "t1"));
  {
    Harness harness(settings_for(server.url()));
    Result<ManifestBody> body = harness.get_manifest("a/b", "1").get();
    ASSERT_FALSE(body);
    EXPECT_EQ(body.error().code, Errc::policy_refused);
    EXPECT_EQ(service.connections(), 0U);
  }
  Settings settings = settings_for(server.url());
  settings.allow_private = {"127.0.0.0/8"};
  Harness harness(settings);
  EXPECT_TRUE(harness.get_manifest("a/b", "1").get());
  EXPECT_EQ(service.requests().size(), 1U);
}

TEST(TokenFlow, NameThatResolvesToLoopbackIsRefusedAtConnect) {
  ScriptedServer service([](const SeenRequest&, Connection& connection) { connection.send(grant("t1")); });
  ScriptedServer server(registry_with("http://localhost:" + std::to_string(service.port()) + "/token", "t1"));
  Harness harness(settings_for(server.url()));
  Result<ManifestBody> body = harness.get_manifest("a/b", "1").get();
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().code, Errc::policy_refused) << body.error().message;
  EXPECT_EQ(service.connections(), 0U);
}

TEST(TokenFlow, UnusableRealmsAreRefused) {
  for (const char* realm :
       {"", "ftp://x/", "token", "http://user:pw@127.0.0.1/", "http://127.0.0.1:99999/", "http://[::1/",
        "http://169.254.169.254/latest", "http://[fd00:ec2::254]/", "http://0x7f.1:5000/"}) {
    ScriptedServer server(registry_with(realm, "t1"));
    Harness harness(settings_for(server.url()));
    Result<ManifestBody> body = harness.get_manifest("a/b", "1").get();
    ASSERT_FALSE(body) << realm;
    EXPECT_EQ(body.error().code, Errc::policy_refused) << realm << ": " << body.error().message;
    EXPECT_EQ(server.requests().size(), 1U) << realm;
  }
}

TEST(TokenFlow, FreshTokenThatIsRefusedMeansDeniedAndNoLoop) {
  std::string url;
  ScriptedServer server([&url](const SeenRequest& request, Connection& connection) {
    connection.send(request.target.starts_with("/token") ? grant("t1") : challenge(url + "/token"));
  });
  url = server.url();
  Harness harness(settings_for(server.url()));
  Result<ManifestBody> body = harness.get_manifest("a/b", "1").get();
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().code, Errc::denied);
  EXPECT_EQ(server.requests().size(), 3U);
}

// `refusal` is what the registry says to a token that has ended.
void expect_renewal(const std::string& refusal, size_t requests) {
  std::string url;
  std::atomic<int> good{1};
  std::atomic<int> granted{0};
  ScriptedServer server([&](const SeenRequest& request, Connection& connection) {
    if (request.target.starts_with("/token"))
      return void(connection.send(grant("t" + std::to_string(++granted))));
    std::string shown = request.header("authorization");
    if (shown == "Bearer t" + std::to_string(good))
      return void(connection.send(response(200, "", kManifest)));
    connection.send(shown.empty() || refusal.empty() ? challenge(url + "/token") : refusal);
  });
  url = server.url();
  Harness harness(settings_for(server.url()));
  ASSERT_TRUE(harness.get_manifest("a/b", "1").get());
  good = 2;
  Result<ManifestBody> body = harness.get_manifest("a/b", "1").get();
  ASSERT_TRUE(body) << body.error().message;
  EXPECT_EQ(granted, 2);
  EXPECT_EQ(server.requests().size(), 3 + requests);
}

TEST(TokenFlow, OldTokenIsRenewedOnceAfter401) { expect_renewal("", 3); }
TEST(TokenFlow, OldTokenIsRenewedAfterA403WithoutChallenge) {
  expect_renewal(response(403, "", "expired"), 4);
}
TEST(TokenFlow, OldTokenIsRenewedAfterA400WithoutChallenge) {
  expect_renewal(response(400, "", "expired"), 4);
}

TEST(TokenFlow, TokenServiceRefusalsAreToldApart) {
  struct Row {
    std::string bytes;
    bool with_credential;
    Errc expected;
  };
  const Row rows[] = {
      {response(401, "", "{}"), true, Errc::upstream_refused_credential},
      {response(403, "", "{}"), true, Errc::upstream_refused_credential},
      {response(401, "", "{}"), false, Errc::denied},
      {response(429, "Retry-After: 5\r\n", "{}"), false, Errc::upstream_rate_limited},
      {response(500, "", "{}"), false, Errc::upstream_failed},
      {response(302, "Location: /elsewhere\r\n", ""), false, Errc::upstream_failed},
      {response(200, "", "{}"), false, Errc::upstream_failed},
      {response(200, "", "{\"token\":\"a\\r\\nX: 1\"}"), false, Errc::upstream_failed},
      {response(200, "", std::string(1024 * 1024 + 1, ' ')), false, Errc::upstream_failed},
  };
  for (const Row& row : rows) {
    std::string url;
    ScriptedServer server([&](const SeenRequest& request, Connection& connection) {
      connection.send(request.target.starts_with("/token") ? row.bytes : challenge(url + "/token"));
    });
    url = server.url();
    Harness harness(row.with_credential ? settings_with_credential(url, "secret") : settings_for(url));
    Result<ManifestBody> body = harness.get_manifest("a/b", "1").get();
    ASSERT_FALSE(body);
    EXPECT_EQ(body.error().code, row.expected) << row.bytes.substr(0, 100) << body.error().message;
    if (row.expected == Errc::upstream_rate_limited) {
      EXPECT_EQ(body.error().retry_after_seconds, 5);
    }
  }
}

TEST(TokenFlow, BearerIsPreferredToBasicAndSeveralHeadersAreRead) {
  std::string url;
  ScriptedServer server([&url](const SeenRequest& request, Connection& connection) {
    if (request.target.starts_with("/token")) return void(connection.send(grant("t1")));
    bool is_good = request.header("authorization") == "Bearer t1";
    std::string lines =
        "WWW-Authenticate: Basic realm=\"x\"\r\nwww-authenticate: bearer REALM=\"" + url + "/token\"\r\n";
    connection.send(is_good ? response(200, "", kManifest) : response(401, lines, ""));
  });
  url = server.url();
  Harness harness(settings_with_credential(server.url(), "secret"));
  Result<ManifestBody> body = harness.get_manifest("a/b", "1").get();
  ASSERT_TRUE(body) << body.error().message;
  EXPECT_EQ(server.requests()[1].target, "/token?scope=repository%3Aa%2Fb%3Apull");
  EXPECT_EQ(server.requests()[1].header("authorization"), kBasic);
  EXPECT_EQ(server.requests()[2].header("authorization"), "Bearer t1");
}

TEST(TokenFlow, TokenIsFetchedAgainWhenItsTimeIsOver) {
  std::string url;
  ScriptedServer server([&url](const SeenRequest& request, Connection& connection) {
    if (request.target.starts_with("/token")) return void(connection.send(grant("t1")));
    registry_with(url + "/token", "t1")(request, connection);
  });
  url = server.url();
  Harness harness(settings_for(server.url()));
  ASSERT_TRUE(harness.get_manifest("a/b", "1").get());
  harness.clock().advance(std::chrono::seconds(200));
  ASSERT_TRUE(harness.get_manifest("a/b", "1").get());
  EXPECT_EQ(server.requests().size(), 4U);
  harness.clock().advance(std::chrono::seconds(70));  // a tenth before the 300 s are over
  ASSERT_TRUE(harness.get_manifest("a/b", "1").get());
  EXPECT_EQ(server.requests().size(), 7U);
}

TEST(TokenFlow, OneConnectionIsEnoughForAllOfIt) {
  std::string url;
  ScriptedServer server([&url](const SeenRequest& request, Connection& connection) {
    if (request.target.starts_with("/token")) return void(connection.send(grant("t1")));
    registry_with(url + "/token", "t1")(request, connection);
  });
  url = server.url();
  Settings settings = settings_for(server.url());
  settings.max_connections = 1;
  Harness harness(settings, 2);
  std::vector<std::future<Result<ManifestBody>>> results;
  for (size_t i = 0; i < 8; ++i) results.push_back(harness.get_manifest("a/b", "1", i % 2));
  for (auto& result : results) EXPECT_TRUE(result.get());
}

class TokenFlowOnLoops : public ::testing::TestWithParam<size_t> {};

TEST_P(TokenFlowOnLoops, TokenIsFetchedOnceHoweverManyWantIt) {
  constexpr size_t kFlows = 16;
  ScriptedServer* registry = nullptr;
  ScriptedServer service([&](const SeenRequest&, Connection& connection) {
    registry->wait_for_requests(kFlows);  // all of them have seen their 401
    connection.send(grant("t1"));
  });
  ScriptedServer server(registry_with(service.url() + "/token", "t1"));
  registry = &server;
  Settings settings = settings_for(server.url());
  settings.trusted_realms = {service.authority()};
  Harness harness(settings, GetParam());
  std::vector<std::future<Result<ManifestBody>>> results;
  for (size_t i = 0; i < kFlows; ++i) results.push_back(harness.get_manifest("a/b", "1", i % GetParam()));
  for (auto& result : results) {
    Result<ManifestBody> body = result.get();
    EXPECT_TRUE(body) << body.error().message;
  }
  EXPECT_EQ(service.requests().size(), 1U);
}

TEST_P(TokenFlowOnLoops, FailureOfATokenReachesAllWhoWait) {
  constexpr size_t kFlows = 8;
  ScriptedServer* registry = nullptr;
  ScriptedServer service([&](const SeenRequest&, Connection& connection) {
    registry->wait_for_requests(kFlows);
    connection.send(response(500, "", ""));
  });
  ScriptedServer server(registry_with(service.url() + "/token", "t1"));
  registry = &server;
  Settings settings = settings_for(server.url());
  settings.trusted_realms = {service.authority()};
  Harness harness(settings, GetParam());
  std::vector<std::future<Result<ManifestBody>>> results;
  for (size_t i = 0; i < kFlows; ++i) results.push_back(harness.get_manifest("a/b", "1", i % GetParam()));
  for (auto& result : results) EXPECT_FALSE(result.get());
}

INSTANTIATE_TEST_SUITE_P(Loops, TokenFlowOnLoops, ::testing::Values(1, 2, 4));

TEST(TokenFlow, ShutDownEndsAWaitForATokenOnAnotherLoop) {
  ScriptedServer* self = nullptr;
  ScriptedServer service([&](const SeenRequest&, Connection& connection) {
    self->wait_for_stop();
    connection.close();
  });
  self = &service;
  ScriptedServer server(registry_with(service.url() + "/token", "t1"));
  Settings settings = settings_for(server.url());
  settings.trusted_realms = {service.authority()};
  Harness harness(settings, 2);
  std::future<Result<ManifestBody>> first = harness.get_manifest("a/b", "1", 0);
  std::future<Result<ManifestBody>> second = harness.get_manifest("a/b", "1", 1);
  ASSERT_TRUE(service.wait_for_requests(1));
  for (size_t i = 0; i < 2; ++i) harness.loop(i).post([&harness, i] { harness.client(i).shut_down(); });
  EXPECT_FALSE(first.get());
  EXPECT_FALSE(second.get());
}

TEST(TokenFlow, SecretsAreNeitherLoggedNorInMessages) {
  ScriptedServer service([](const SeenRequest&, Connection& connection) {
    connection.send(response(200, "", "{\"token\":\"canary-token\"}"));
  });
  ScriptedServer server([&](const SeenRequest& request, Connection& connection) {
    if (request.target.find("/cdn") != std::string::npos) return void(connection.send(response(500, "", "")));
    bool has_token = !request.header("authorization").empty();
    connection.send(has_token ? response(307, "Location: /cdn/canary-ticket?signature=canary-query\r\n", "")
                              : challenge(service.url() + "/token?canary-realm=1"));
  });
  Settings settings = settings_with_credential(server.url(), "canary-password");
  settings.trusted_realms = {service.authority()};
  Harness harness(settings);
  Result<ManifestBody> body = harness.get_manifest("a/b", "1").get();
  ASSERT_FALSE(body);
  std::string log = harness.stop_and_read_log() + body.error().message;
  EXPECT_NE(log.find("/v2/a/b/manifests/1"), std::string::npos) << "the log does hold what was asked";
  EXPECT_NE(log.find("redirected to " + server.authority()), std::string::npos) << log;
  EXPECT_EQ(log.find("canary"), std::string::npos) << log;
  EXPECT_EQ(log.find("dXNlcjpj"), std::string::npos) << log;
}

}  // namespace
}  // namespace entrepot::upstream::testing
