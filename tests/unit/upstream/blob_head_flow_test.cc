// HEAD of a blob through the real client, and the GET that stands in for it.

#include <gtest/gtest.h>

#include "harness.h"
#include "scripted_server.h"

namespace entrepot::upstream::testing {
namespace {

const std::string kContent = "blob";
const Digest kDigest = Digest::of(kContent);

std::future<Result<BlobHead>> head_blob(Harness& harness, const std::string& repository = "a/b") {
  Registry& registry = harness.registry();
  return harness.begin<Result<BlobHead>>(
      [&registry, repository] { return registry.head_blob(repository, kDigest); });
}

std::string size_only(int status, size_t size) {
  return "HTTP/1.1 " + std::to_string(status) + " Status\r\nContent-Length: " + std::to_string(size) +
         "\r\n\r\n";
}

// Gives the blob to GET, and to HEAD what the test says.
ScriptedServer::Handler refusing(int status, const std::string& headers = "") {
  return [status, headers](const SeenRequest& request, Connection& connection) {
    connection.send(request.method == "HEAD" ? response(status, headers, "") : response(200, "", kContent));
  };
}

std::string methods(const ScriptedServer& server) {
  std::string all;
  for (const SeenRequest& request : server.requests()) all += request.method + " ";
  return all;
}

TEST(BlobHeadFlow, HeadGivesTheSize) {
  ScriptedServer server(
      [](const SeenRequest&, Connection& connection) { connection.send(size_only(200, 5'000'000'000)); });
  Harness harness(settings_for(server.url()));
  Result<BlobHead> head = head_blob(harness).get();
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->size, 5'000'000'000U);
  EXPECT_EQ(methods(server), "HEAD ");
  EXPECT_EQ(server.requests().at(0).target, "/v2/a/b/blobs/" + kDigest.text());
}

TEST(BlobHeadFlow, SizeMayBeMissing) {
  ScriptedServer server([](const SeenRequest&, Connection& connection) {
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  });
  Harness harness(settings_for(server.url()));
  Result<BlobHead> head = head_blob(harness).get();
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->size, std::nullopt);
}

TEST(BlobHeadFlow, RedirectIsFollowedByHead) {
  ScriptedServer target(
      [](const SeenRequest&, Connection& connection) { connection.send(size_only(200, 4)); });
  ScriptedServer server([&](const SeenRequest&, Connection& connection) {
    connection.send(response(307, "Location: " + target.url() + "/data\r\n", ""));
  });
  Settings settings = settings_for(server.url());
  settings.allow_private = {"127.0.0.0/8"};
  Harness harness(settings);
  Result<BlobHead> head = head_blob(harness).get();
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->size, 4U);
  EXPECT_EQ(methods(server) + methods(target), "HEAD HEAD ");
}

TEST(BlobHeadFlow, RefusedHeadIsFollowedByGet) {
  for (int status : {401, 403, 405, 501}) {
    ScriptedServer server(refusing(status));
    Settings settings = settings_for(server.url());
    settings.max_connections = 1;
    Harness harness(settings);
    Result<BlobHead> head = head_blob(harness).get();
    ASSERT_TRUE(head) << status << ": " << head.error().message;
    EXPECT_EQ(head->size, kContent.size());
    EXPECT_EQ(methods(server), "HEAD GET ") << status;
  }
}

// ECR Public: a 401 with a challenge, to every token.
TEST(BlobHeadFlow, HeadRefusedToAFreshTokenIsFollowedByGet) {
  for (int status : {401, 403}) {
    std::string url;
    ScriptedServer server([&](const SeenRequest& request, Connection& connection) {
      const std::string challenge = "WWW-Authenticate: Bearer realm=\"" + url + "/token\",scope=\"aws\"\r\n";
      if (request.target.starts_with("/token"))
        return void(connection.send(response(200, "", "{\"token\":\"t\",\"expires_in\":300}")));
      bool has_token = request.header("authorization") == "Bearer t";
      if (!has_token) return void(connection.send(response(401, challenge, "")));
      refusing(status, challenge)(request, connection);
    });
    url = server.url();
    Harness harness(settings_for(server.url()));
    Result<BlobHead> head = head_blob(harness).get();
    ASSERT_TRUE(head) << head.error().message;
    EXPECT_EQ(head->size, kContent.size());
    EXPECT_EQ(methods(server).substr(0, 14), "HEAD GET HEAD ") << "without a token, the token, with it";
    EXPECT_TRUE(methods(server).ends_with("GET "));
  }
}

TEST(BlobHeadFlow, HeadRefusedAtARedirectsTargetIsFollowedByGet) {
  ScriptedServer target(refusing(403));
  ScriptedServer server([&](const SeenRequest&, Connection& connection) {
    connection.send(response(307, "Location: " + target.url() + "/data?signature=s\r\n", ""));
  });
  Settings settings = settings_for(server.url());
  settings.allow_private = {"127.0.0.0/8"};
  Harness harness(settings);
  Result<BlobHead> head = head_blob(harness).get();
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->size, kContent.size());
  EXPECT_EQ(methods(server), "HEAD GET ");
  EXPECT_EQ(methods(target), "HEAD GET ");
}

TEST(BlobHeadFlow, BodyOfTheGetIsDropped) {
  ScriptedServer server([](const SeenRequest& request, Connection& connection) {
    if (request.method == "HEAD") return void(connection.send(response(405, "", "")));
    connection.send(size_only(200, 1'000'000'000'000));
    while (connection.send(std::string(65536, 'x'))) {
    }
  });
  Harness harness(settings_for(server.url()));
  Result<BlobHead> head = head_blob(harness).get();
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->size, 1'000'000'000'000U);
  EXPECT_TRUE(server.wait_for_closed(1));
}

TEST(BlobHeadFlow, OtherAnswersMeanWhatTheyMeanToGet) {
  struct Row {
    int status;
    Errc expected;
  };
  for (const Row& row : {Row{404, Errc::blob_unknown}, Row{429, Errc::upstream_rate_limited},
                         Row{500, Errc::upstream_failed}, Row{206, Errc::upstream_failed}}) {
    ScriptedServer server(refusing(row.status));
    Harness harness(settings_for(server.url()));
    Result<BlobHead> head = head_blob(harness).get();
    ASSERT_FALSE(head) << row.status;
    EXPECT_EQ(head.error().code, row.expected) << row.status;
    EXPECT_EQ(methods(server), "HEAD ") << row.status;
  }
}

TEST(BlobHeadFlow, DenialOfTheGetIsADenial) {
  ScriptedServer server(
      [](const SeenRequest&, Connection& connection) { connection.send(response(403, "", "")); });
  Harness harness(settings_for(server.url()));
  Result<BlobHead> head = head_blob(harness).get();
  ASSERT_FALSE(head);
  EXPECT_EQ(head.error().code, Errc::denied);
  EXPECT_EQ(methods(server), "HEAD GET ");
}

}  // namespace
}  // namespace entrepot::upstream::testing
