// The way of a request through the real client, against a server whose bytes are scripted.

#include <gtest/gtest.h>

#include <atomic>

#include "harness.h"
#include "scripted_server.h"

namespace entrepot::upstream::testing {
namespace {

constexpr const char* kType = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";
constexpr const char* kManifest = "{\"schemaVersion\":2}";
const Digest kDigest = Digest::of("blob");

ScriptedServer::Handler always(std::string bytes) {
  return [bytes](const SeenRequest&, Connection& connection) { connection.send(bytes); };
}

Errc code_of(std::future<Result<ManifestBody>> result) {
  Result<ManifestBody> body = result.get();
  return body ? Errc::internal : body.error().code;
}

TEST(RegistryFlow, ManifestComesAnonymously) {
  ScriptedServer server(always(response(200, std::string(kType), kManifest)));
  Harness harness(settings_for(server.url()));
  Result<ManifestBody> body = harness.get_manifest("library/alpine", "3").get();
  ASSERT_TRUE(body) << body.error().message;
  EXPECT_EQ(body->bytes, kManifest);
  EXPECT_EQ(body->media_type, "application/vnd.oci.image.manifest.v1+json");
  SeenRequest seen = server.requests().at(0);
  EXPECT_EQ(seen.method + " " + seen.target, "GET /v2/library/alpine/manifests/3");
  EXPECT_TRUE(seen.header("accept").starts_with("application/vnd.oci.image.index.v1+json, "));
  EXPECT_EQ(seen.header("accept").find('*'), std::string::npos);
  EXPECT_EQ(seen.header("accept-encoding"), "identity");
  EXPECT_EQ(seen.header("user-agent"), "entrepot/" ENTREPOT_VERSION);
  EXPECT_EQ(seen.header("authorization"), "");
}

TEST(RegistryFlow, PathPrefixAndLibraryArePutInFront) {
  ScriptedServer server(always(response(200, kType, kManifest)));
  Settings settings = settings_for(server.url() + "/hub/");
  settings.adds_library = true;
  Harness harness(settings);
  ASSERT_TRUE(harness.get_manifest("alpine", "3").get());
  ASSERT_TRUE(harness.get_manifest("a/b", "3").get());
  EXPECT_EQ(server.requests().at(0).target, "/hub/v2/library/alpine/manifests/3");
  EXPECT_EQ(server.requests().at(1).target, "/hub/v2/a/b/manifests/3");
}

TEST(RegistryFlow, KeptConnectionIsUsedAgain) {
  ScriptedServer server(always(response(200, kType, kManifest)));
  Harness harness(settings_for(server.url()));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(harness.get_manifest("a", "1").get());
  EXPECT_EQ(server.connections(), 1U);
}

TEST(RegistryFlow, BlobComesWithItsSizeAndToItsEnd) {
  std::string content(3 * 1024 * 1024, 'x');
  ScriptedServer server(always(response(200, "", content)));
  Harness harness(settings_for(server.url()));
  Result<std::string> blob = harness.get_blob("a/b", kDigest).get();
  ASSERT_TRUE(blob) << blob.error().message;
  EXPECT_TRUE(*blob == content);
  EXPECT_EQ(server.requests().at(0).target, "/v2/a/b/blobs/" + kDigest.text());
}

TEST(RegistryFlow, BasicIsSentWhenTheRegistryAsksForItAndRememberedThen) {
  ScriptedServer server([](const SeenRequest& request, Connection& connection) {
    bool is_good = request.header("authorization") == "Basic dXNlcjpzZWNyZXQ=";
    connection.send(is_good ? response(200, kType, kManifest)
                            : response(401, "WWW-Authenticate: Basic realm=\"x\"\r\n", "no"));
  });
  Harness harness(settings_with_credential(server.url(), "secret"));
  ASSERT_TRUE(harness.get_manifest("a", "1").get());
  ASSERT_TRUE(harness.get_manifest("a", "1").get());
  EXPECT_EQ(server.requests().size(), 3U);
  EXPECT_EQ(server.requests().at(0).header("authorization"), "");
}

TEST(RegistryFlow, BasicIsSentAtOnceWhenConfiguredSo) {
  ScriptedServer server(always(response(200, kType, kManifest)));
  Settings settings = settings_with_credential(server.url(), "secret");
  settings.auth = Auth::basic;
  Harness harness(settings);
  ASSERT_TRUE(harness.get_manifest("a", "1").get());
  EXPECT_EQ(server.requests().at(0).header("authorization"), "Basic dXNlcjpzZWNyZXQ=");
}

TEST(RegistryFlow, AnonymousAccessSendsNoCredentialEvenIfThereIsOne) {
  ScriptedServer server(always(response(401, "WWW-Authenticate: Basic realm=\"x\"\r\n", "no")));
  Settings settings = settings_with_credential(server.url(), "secret");
  settings.access = Access::anonymous;
  Harness harness(settings);
  EXPECT_EQ(code_of(harness.get_manifest("a", "1")), Errc::denied);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(RegistryFlow, RefusedBasicIsOurCredentialsFault) {
  ScriptedServer server(always(response(401, "WWW-Authenticate: Basic realm=\"x\"\r\n", "no")));
  Harness harness(settings_with_credential(server.url(), "secret"));
  EXPECT_EQ(code_of(harness.get_manifest("a", "1")), Errc::upstream_refused_credential);
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST(RegistryFlow, MissingPasswordFileIsSaidSo) {
  ScriptedServer server(always(response(401, "WWW-Authenticate: Basic realm=\"x\"\r\n", "no")));
  Settings settings = settings_with_credential(server.url(), "secret");
  settings.password_file = "/nonexistent/password";
  Harness harness(settings);
  Result<ManifestBody> body = harness.get_manifest("a", "1").get();
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().code, Errc::upstream_refused_credential);
  EXPECT_NE(body.error().message.find("/nonexistent/password"), std::string::npos);
}

TEST(RegistryFlow, StatusesMeanWhatTheHeaderSays) {
  struct Row {
    std::string bytes;
    Errc expected;
  };
  const std::string name_unknown = "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}";
  const Row rows[] = {
      {response(404, "", "{}"), Errc::manifest_unknown},
      {response(404, "", name_unknown), Errc::name_unknown},
      {response(404, "", "not json"), Errc::manifest_unknown},
      {response(401, "", ""), Errc::denied},
      {response(403, "", ""), Errc::denied},
      {response(400, "", ""), Errc::upstream_failed},
      {response(429, "", ""), Errc::upstream_rate_limited},
      {response(500, "", ""), Errc::upstream_failed},
      {response(503, "", ""), Errc::upstream_failed},
      {response(206, kType, kManifest), Errc::upstream_failed},
      {response(200, "Content-Type: text/html; charset=utf-8\r\n", "<html>"), Errc::upstream_failed},
      {response(200, "Content-Type: a/b\r\nContent-Type: c/d\r\n", "{}"), Errc::upstream_failed},
      {response(200, "Content-Encoding: gzip\r\n", "{}"), Errc::upstream_failed},
      {response(307, "", ""), Errc::policy_refused},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n", Errc::upstream_failed},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
       Errc::upstream_failed},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", Errc::upstream_failed},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Errc::upstream_failed},
      {"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}", Errc::upstream_failed},
      {"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\n{}", Errc::upstream_failed},
      {"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}", Errc::upstream_failed},
      {"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", Errc::upstream_failed},
      {"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\n{}", Errc::upstream_failed},
      {"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 2\r\n\r\n{}", Errc::upstream_failed},
      {"HTTP/1.1 200 OK\r\nX: " + std::string(1 << 20, 'x') + "\r\n\r\n", Errc::upstream_failed},
      {"hello, this is no http\r\n\r\n", Errc::upstream_failed},
  };
  for (const Row& row : rows) {
    ScriptedServer server([&row](const SeenRequest&, Connection& connection) {
      connection.send(row.bytes);
      connection.close();
    });
    Harness harness(settings_for(server.url()));
    Result<ManifestBody> body = harness.get_manifest("a/b", "1").get();
    ASSERT_FALSE(body) << row.bytes.substr(0, 200);
    EXPECT_EQ(body.error().code, row.expected) << row.bytes.substr(0, 200) << "\n" << body.error().message;
    EXPECT_TRUE(body.error().message.starts_with("up.test: a/b")) << body.error().message;
  }
}

TEST(RegistryFlow, MissingBlobIsBlobUnknown) {
  ScriptedServer server(always(response(404, "", "{}")));
  Harness harness(settings_for(server.url()));
  Result<std::string> blob = harness.get_blob("a", kDigest).get();
  ASSERT_FALSE(blob);
  EXPECT_EQ(blob.error().code, Errc::blob_unknown);
}

TEST(RegistryFlow, RetryAfterIsHandedOn) {
  ScriptedServer server(always(response(429, "Retry-After: 17\r\n", "Too Many Requests (HAP429).")));
  Harness harness(settings_for(server.url()));
  Result<ManifestBody> body = harness.get_manifest("a", "1").get();
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().code, Errc::upstream_rate_limited);
  EXPECT_EQ(body.error().retry_after_seconds, 17);
}

TEST(RegistryFlow, ManifestOfUnknownLengthIsCutAtFourMebibytes) {
  ScriptedServer server([](const SeenRequest&, Connection& connection) {
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    std::string chunk = "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
    while (connection.send(chunk)) {
    }
  });
  Harness harness(settings_for(server.url()));
  EXPECT_EQ(code_of(harness.get_manifest("a", "1")), Errc::upstream_failed);
  EXPECT_TRUE(server.wait_for_closed(1));
}

TEST(RegistryFlow, ResetBeforeTheResponseIsTriedOnceMore) {
  std::atomic<int> count{0};
  ScriptedServer server([&](const SeenRequest&, Connection& connection) {
    if (++count == 1) return connection.reset();
    connection.send(response(200, kType, kManifest));
  });
  Harness harness(settings_for(server.url()));
  Result<ManifestBody> body = harness.get_manifest("a", "1").get();
  ASSERT_TRUE(body) << body.error().message;
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST(RegistryFlow, SecondBreakBeforeTheResponseIsACut) {
  for (bool is_reset : {true, false}) {
    ScriptedServer server([is_reset](const SeenRequest&, Connection& connection) {
      is_reset ? connection.reset() : connection.close();
    });
    Harness harness(settings_for(server.url()));
    EXPECT_EQ(code_of(harness.get_manifest("a", "1")), Errc::upstream_cut);
    EXPECT_EQ(server.requests().size(), 2U);
  }
}

TEST(RegistryFlow, CutInsideTheHeadIsNotTriedAgain) {
  for (const char* part :
       {"HTTP/1.1 200 OK\r\nContent-", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"}) {
    ScriptedServer server([part](const SeenRequest&, Connection& connection) {
      connection.send(part);
      connection.close();
    });
    Harness harness(settings_for(server.url()));
    EXPECT_EQ(code_of(harness.get_manifest("a", "1")), Errc::upstream_cut) << part;
    EXPECT_EQ(server.requests().size(), 1U) << part;
  }
}

TEST(RegistryFlow, NobodyListeningIsUnreachable) {
  std::string url;
  {
    ScriptedServer gone(always(""));
    url = gone.url();
  }
  Harness harness(settings_for(url));
  EXPECT_EQ(code_of(harness.get_manifest("a", "1")), Errc::upstream_unreachable);
}

TEST(RegistryFlow, SilentRegistryTimesOut) {
  ScriptedServer* self = nullptr;
  ScriptedServer server([&self](const SeenRequest&, Connection& connection) {
    self->wait_for_stop();
    connection.close();
  });
  self = &server;
  Settings settings = settings_for(server.url());
  settings.header_timeout = Duration(20);
  Harness harness(settings);
  EXPECT_EQ(code_of(harness.get_manifest("a", "1")), Errc::upstream_timeout);
}

TEST(RegistryFlow, HeadGivesDigestTypeAndSize) {
  ScriptedServer server(always("HTTP/1.1 200 OK\r\nContent-Length: 527\r\n" + std::string(kType) +
                               "Docker-Content-Digest: " + kDigest.text() + "\r\n\r\n"));
  Harness harness(settings_for(server.url()));
  Result<ManifestHead> head = harness.head_manifest("a", "1").get();
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->digest, kDigest);
  EXPECT_EQ(head->size, 527U);
  EXPECT_EQ(head->media_type, "application/vnd.oci.image.manifest.v1+json");
  EXPECT_EQ(server.requests().at(0).method, "HEAD");
}

TEST(RegistryFlow, HeadWithoutDigestOrNotAllowedFallsBackToGet) {
  for (const char* head :
       {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nDocker-Content-Digest: md5:00\r\n\r\n"}) {
    ScriptedServer server([head](const SeenRequest& request, Connection& connection) {
      connection.send(request.method == "HEAD" ? head : response(200, kType, kManifest));
    });
    Harness harness(settings_for(server.url()));
    Result<ManifestHead> found = harness.head_manifest("a", "1").get();
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->digest, Digest::of(kManifest));
    EXPECT_EQ(found->size, std::string(kManifest).size());
  }
}

TEST(RegistryFlow, BadRepositoryNamesNeverReachTheWire) {
  ScriptedServer server(always(response(200, kType, kManifest)));
  Harness harness(settings_for(server.url()));
  for (const char* name : {"", "a b", "a\r\nX: y", "../v2", "A", "a//b", "a?x", "a%2fb"})
    EXPECT_EQ(code_of(harness.get_manifest(name, "1")), Errc::name_invalid) << name;
  EXPECT_EQ(server.connections(), 0U);
}

TEST(RegistryFlow, ShutDownEndsWhatRunsAndWhatComes) {
  ScriptedServer* self = nullptr;
  ScriptedServer server([&self](const SeenRequest&, Connection& connection) {
    self->wait_for_stop();
    connection.close();
  });
  self = &server;
  Harness harness(settings_for(server.url()));
  std::future<Result<ManifestBody>> running = harness.get_manifest("a", "1");
  ASSERT_TRUE(server.wait_for_requests(1));
  harness.loop().post([&] { harness.client().shut_down(); });
  EXPECT_EQ(code_of(std::move(running)), Errc::shutting_down);
  EXPECT_EQ(code_of(harness.get_manifest("a", "1")), Errc::shutting_down);
}

TEST(RegistryFlow, UnknownUpstreamIsNotFound) {
  Harness harness(settings_for("http://127.0.0.1:1"));
  EXPECT_EQ(harness.client().find("other.test"), nullptr);
  EXPECT_NE(harness.client().find("up.test"), nullptr);
}

}  // namespace
}  // namespace entrepot::upstream::testing
