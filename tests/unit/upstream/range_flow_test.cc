// Blobs from an offset on, through the real client: what a Range may be answered with.

#include <gtest/gtest.h>

#include "harness.h"
#include "scripted_server.h"
#include "upstream/content_range.h"

namespace entrepot::upstream::testing {
namespace {

const std::string kContent = "0123456789";
const Digest kDigest = Digest::of(kContent);
constexpr uint64_t kFrom = 4;
const std::string kRange = "Content-Range: bytes 4-9/10\r\n";

struct Got {
  Result<std::string> bytes = std::string();
  uint64_t begin = 0;
  std::optional<uint64_t> size;
};

Task<Got> read_from(Registry& registry, uint64_t from, std::optional<uint64_t> until) {
  Got got;
  BlobRequest request{.repository = "a", .digest = kDigest, .from = from, .until = until};
  Result<std::unique_ptr<BlobBody>> body = co_await registry.get_blob(std::move(request));
  if (!body) {
    got.bytes = fail(body.error());
    co_return got;
  }
  BlobBody& opened = **body;
  got.begin = opened.begin();
  got.size = opened.size();
  while (got.bytes) {
    Result<std::string> chunk = co_await opened.read();
    if (chunk && chunk->empty()) break;
    if (chunk) *got.bytes += *chunk;
    if (!chunk) got.bytes = fail(chunk.error());
  }
  co_return got;
}

Got get_from(Harness& harness, uint64_t from = kFrom, std::optional<uint64_t> until = {}) {
  Registry& registry = harness.registry();
  return harness.begin<Got>([&registry, from, until] { return read_from(registry, from, until); }).get();
}

ScriptedServer::Handler always(std::string bytes) {
  return [bytes](const SeenRequest&, Connection& connection) { connection.send(bytes); };
}

// The rest to who asks for it by Range, `refusal` to nobody; the whole without a Range.
ScriptedServer::Handler honest() {
  return [](const SeenRequest& request, Connection& connection) {
    connection.send(request.header("range") == "bytes=4-" ? response(206, kRange, kContent.substr(kFrom))
                                                          : response(200, "", kContent));
  };
}

TEST(RangeFlow, RestOfABlobComes) {
  ScriptedServer server(honest());
  Harness harness(settings_for(server.url()));
  Got got = get_from(harness);
  ASSERT_TRUE(got.bytes) << got.bytes.error().message;
  EXPECT_EQ(*got.bytes, "456789");
  EXPECT_EQ(got.begin, kFrom);
  EXPECT_EQ(got.size, kContent.size());
  EXPECT_EQ(server.requests().size(), 1U);
  EXPECT_EQ(server.requests().at(0).header("range"), "bytes=4-");
}

TEST(RangeFlow, PartOfABlobComes) {
  ScriptedServer server(always(response(206, "Content-Range: bytes 4-6/10\r\n", "456")));
  Harness harness(settings_for(server.url()));
  Got got = get_from(harness, 4, 7);
  ASSERT_TRUE(got.bytes) << got.bytes.error().message;
  EXPECT_EQ(*got.bytes, "456");
  EXPECT_EQ(got.begin, 4U);
  EXPECT_EQ(got.size, kContent.size());
  EXPECT_EQ(server.requests().at(0).header("range"), "bytes=4-6");
}

TEST(RangeFlow, PartFromTheBeginningIsARangeToo) {
  ScriptedServer server(always(response(206, "Content-Range: bytes 0-2/10\r\n", "012")));
  Harness harness(settings_for(server.url()));
  Got got = get_from(harness, 0, 3);
  ASSERT_TRUE(got.bytes) << got.bytes.error().message;
  EXPECT_EQ(*got.bytes, "012");
  EXPECT_EQ(server.requests().at(0).header("range"), "bytes=0-2");
}

TEST(RangeFlow, AnotherPartThanAskedForIsNotTaken) {
  for (const char* range : {"bytes 4-5/10", "bytes 4-7/10", "bytes 4-9/10", "bytes 3-6/10", "bytes 4-6/*"}) {
    ScriptedServer server(always(response(206, std::string("Content-Range: ") + range + "\r\n", "456")));
    Harness harness(settings_for(server.url()));
    Got got = get_from(harness, 4, 7);
    ASSERT_FALSE(got.bytes) << range;
    EXPECT_EQ(got.bytes.error().code, Errc::upstream_failed) << range;
  }
}

TEST(RangeFlow, PartThatReachesBeyondTheEndIsCutThere) {
  ScriptedServer server(always(response(206, kRange, kContent.substr(kFrom))));
  Harness harness(settings_for(server.url()));
  Got got = get_from(harness, kFrom, 100);
  ASSERT_TRUE(got.bytes) << got.bytes.error().message;
  EXPECT_EQ(*got.bytes, "456789");
}

TEST(RangeFlow, WholeBlobIsAskedForWithoutARange) {
  ScriptedServer server(honest());
  Harness harness(settings_for(server.url()));
  Got got = get_from(harness, 0);
  ASSERT_TRUE(got.bytes) << got.bytes.error().message;
  EXPECT_EQ(*got.bytes, kContent);
  EXPECT_EQ(got.begin, 0U);
  EXPECT_EQ(got.size, kContent.size());
  EXPECT_FALSE(server.requests().at(0).headers.contains("range"));
}

TEST(RangeFlow, AnswerInChunksHasItsSizeFromContentRange) {
  ScriptedServer server(always("HTTP/1.1 206 Partial\r\n" + kRange +
                               "Transfer-Encoding: chunked\r\n\r\n6\r\n456789\r\n0\r\n\r\n"));
  Harness harness(settings_for(server.url()));
  Got got = get_from(harness);
  ASSERT_TRUE(got.bytes) << got.bytes.error().message;
  EXPECT_EQ(*got.bytes, "456789");
  EXPECT_EQ(got.size, kContent.size());
}

TEST(RangeFlow, RangeThatIsIgnoredGivesTheWhole) {
  ScriptedServer server(always(response(200, "", kContent)));
  Harness harness(settings_for(server.url()));
  Got got = get_from(harness);
  ASSERT_TRUE(got.bytes) << got.bytes.error().message;
  EXPECT_EQ(*got.bytes, kContent);
  EXPECT_EQ(got.begin, 0U);
  EXPECT_EQ(got.size, kContent.size());
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(RangeFlow, RangeThatIsRefusedIsGivenUp) {
  for (int status : {400, 416, 501}) {
    ScriptedServer server([status](const SeenRequest& request, Connection& connection) {
      connection.send(request.headers.contains("range") ? response(status, "", "no")
                                                        : response(200, "", kContent));
    });
    Harness harness(settings_for(server.url()));
    Got got = get_from(harness);
    ASSERT_TRUE(got.bytes) << status << ": " << got.bytes.error().message;
    EXPECT_EQ(*got.bytes, kContent);
    EXPECT_EQ(got.begin, 0U);
    EXPECT_EQ(server.requests().size(), 2U);
  }
}

TEST(RangeFlow, RangeIsGivenUpOnce) {
  for (int status : {400, 416, 501}) {
    ScriptedServer server(always(response(status, "", "no")));
    Harness harness(settings_for(server.url()));
    Got got = get_from(harness);
    ASSERT_FALSE(got.bytes);
    EXPECT_EQ(got.bytes.error().code, Errc::upstream_failed);
    EXPECT_EQ(server.requests().size(), 2U);
  }
}

TEST(RangeFlow, OtherRefusalsAreFinal) {
  for (int status : {403, 404, 429, 503}) {
    ScriptedServer server(always(response(status, "", "no")));
    Harness harness(settings_for(server.url()));
    EXPECT_FALSE(get_from(harness).bytes);
    EXPECT_EQ(server.requests().size(), 1U) << status;
  }
}

TEST(RangeFlow, WrongPartIsNotTakenForTheRest) {
  const std::string body = kContent.substr(kFrom);
  for (const std::string& headers :
       {std::string(), kRange + kRange, std::string("Content-Range: bytes 3-9/10\r\n"),
        std::string("Content-Range: bytes 5-10/11\r\n"), std::string("Content-Range: bytes 4-9/11\r\n"),
        std::string("Content-Range: bytes 4-8/10\r\n"), std::string("Content-Range: bytes 4-9/*\r\n"),
        std::string("Content-Range: bytes */10\r\n"), std::string("Content-Range: bytes 4-10/11\r\n"),
        std::string("Content-Range: items 4-9/10\r\n"),
        std::string("Content-Type: multipart/byteranges; boundary=x\r\n"),
        kRange + "Content-Encoding: gzip\r\n", kRange + "Content-Type: text/html\r\n"}) {
    ScriptedServer server(always(response(206, headers, body)));
    Harness harness(settings_for(server.url()));
    Got got = get_from(harness);
    ASSERT_FALSE(got.bytes) << headers;
    EXPECT_EQ(got.bytes.error().code, Errc::upstream_failed) << headers;
    EXPECT_EQ(server.requests().size(), 1U) << headers;
  }
}

TEST(RangeFlow, PartThatWasNotAskedForIsNotTaken) {
  ScriptedServer server(always(response(206, "Content-Range: bytes 0-9/10\r\n", kContent)));
  Harness harness(settings_for(server.url()));
  Got got = get_from(harness, 0);
  ASSERT_FALSE(got.bytes);
  EXPECT_EQ(got.bytes.error().code, Errc::upstream_failed);
}

TEST(RangeFlow, StorageBehindARedirectSeesTheRange) {
  ScriptedServer storage(honest());
  ScriptedServer server(always(response(307, "Location: " + storage.url() + "/data?sig=x\r\n", "")));
  Settings settings = settings_for(server.url());
  settings.allow_private = {"127.0.0.0/8"};
  Harness harness(settings);
  Got got = get_from(harness);
  ASSERT_TRUE(got.bytes) << got.bytes.error().message;
  EXPECT_EQ(*got.bytes, "456789");
  EXPECT_EQ(server.requests().at(0).header("range"), "bytes=4-");
  EXPECT_EQ(storage.requests().at(0).header("range"), "bytes=4-");
}

TEST(RangeFlow, RangeThatAStorageRefusesIsGivenUpFromTheRegistryOn) {
  ScriptedServer storage([](const SeenRequest& request, Connection& connection) {
    connection.send(request.headers.contains("range") ? response(400, "", "<Error/>")
                                                      : response(200, "", kContent));
  });
  ScriptedServer server(always(response(307, "Location: " + storage.url() + "/data\r\n", "")));
  Settings settings = settings_for(server.url());
  settings.allow_private = {"127.0.0.0/8"};
  Harness harness(settings);
  Got got = get_from(harness);
  ASSERT_TRUE(got.bytes) << got.bytes.error().message;
  EXPECT_EQ(got.begin, 0U);
  EXPECT_EQ(server.requests().size(), 2U) << "a signed URL may be good for one request";
  EXPECT_FALSE(server.requests().at(1).headers.contains("range"));
}

TEST(RangeFlow, RangeStaysOnTheRequestAfterAChallenge) {
  std::string url;
  ScriptedServer server([&](const SeenRequest& request, Connection& connection) {
    if (request.target.starts_with("/token"))
      return void(connection.send(response(200, "", "{\"token\":\"t\"}")));
    if (request.header("authorization").empty())
      return void(
          connection.send(response(401, "WWW-Authenticate: Bearer realm=\"" + url + "/token\"\r\n", "no")));
    connection.send(response(206, kRange, kContent.substr(kFrom)));
  });
  url = server.url();
  Harness harness(settings_for(url));
  Got got = get_from(harness);
  ASSERT_TRUE(got.bytes) << got.bytes.error().message;
  ASSERT_EQ(server.requests().size(), 3U);
  EXPECT_EQ(server.requests()[0].header("range") + server.requests()[2].header("range"), "bytes=4-bytes=4-");
  EXPECT_FALSE(server.requests()[1].headers.contains("range")) << "the token service gets none";
}

TEST(RangeFlow, CutPartGivesItsBytesAndThenTheCut) {
  ScriptedServer server([](const SeenRequest&, Connection& connection) {
    connection.send("HTTP/1.1 206 Partial\r\n" + kRange + "Content-Length: 6\r\n\r\n45");
    connection.close();
  });
  Harness harness(settings_for(server.url()));
  Got got = get_from(harness);
  ASSERT_FALSE(got.bytes);
  EXPECT_EQ(got.bytes.error().code, Errc::upstream_cut);
  EXPECT_EQ(got.begin, kFrom);
}

TEST(ContentRange, IsReadStrictly) {
  std::optional<ContentRange> range = parse_content_range("bytes 0-9/10");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 0U);
  EXPECT_EQ(range->last, 9U);
  EXPECT_EQ(range->total, 10U);
  EXPECT_TRUE(parse_content_range("Bytes 7-7/8"));
  EXPECT_TRUE(parse_content_range("bytes 0-999999999999999998/999999999999999999"));
  for (const char* text : {"", "bytes", "bytes ", "bytes=0-9/10", "bytes 0-9", "bytes 0-9/", "bytes 0-9/*",
                           "bytes */10", "bytes -9/10", "bytes 0-/10", "bytes 9-0/10", "bytes 0-10/10",
                           "bytes 0-9/10 ", "bytes  0-9/10", "bytes 0-9/10, 0-9/10", "bytes +0-9/10",
                           "bytes 0x0-9/10", "bytes 0-9/1000000000000000000", "octets 0-9/10"})
    EXPECT_FALSE(parse_content_range(text)) << text;
}

}  // namespace
}  // namespace entrepot::upstream::testing
