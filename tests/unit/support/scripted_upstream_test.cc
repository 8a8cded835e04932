#include "tests/support/scripted_upstream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace entrepot::testing {
namespace {

using ::testing::HasSubstr;

std::string blob(const std::string& digest) { return "/v2/library/x/blobs/" + digest; }

TEST(ScriptedUpstream, ServesWhatWasAddedAndRecordsWhoAsked) {
  ScriptedUpstream upstream;
  std::string digest = upstream.add("hello");
  EXPECT_EQ(digest, "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  ScriptedUpstream::Reply reply = upstream.request("GET", blob(digest), "", "X-Mark: here\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "hello");
  std::vector<ScriptedUpstream::Seen> seen = upstream.seen("GET", "/blobs/");
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].target, blob(digest));
  EXPECT_EQ(seen[0].header("x-mark"), "here");
  EXPECT_EQ(seen[0].status, 200);
  EXPECT_EQ(seen[0].sent, 5u);
  upstream.forget();
  EXPECT_TRUE(upstream.seen().empty());
}

TEST(ScriptedUpstream, MisbehavesAsItIsToldAndAsOftenAsItIsTold) {
  ScriptedUpstream upstream;
  std::string digest = upstream.make(100'000, 1);
  upstream.on(R"({"containing": "/blobs/", "times": 1, "quirks": [{"cut": {"after": 1000, "how": "rst"}}]})");
  EXPECT_EQ(upstream.request("GET", blob(digest)).body.size(), 1000u);
  std::string whole = upstream.request("GET", blob(digest)).body;
  ASSERT_EQ(whole.size(), 100'000u);

  upstream.on(R"({"quirks": [{"flip": {"at": 99999}}, {"until_close": {"version": "HTTP/1.0"}}]})");
  ScriptedUpstream::Reply flipped = upstream.request("GET", blob(digest));
  EXPECT_THAT(flipped.head, HasSubstr("HTTP/1.0 200"));
  EXPECT_EQ(flipped.body.substr(0, 99'999), whole.substr(0, 99'999));
  EXPECT_NE(flipped.body, whole);
  upstream.behave();
  EXPECT_EQ(upstream.request("GET", blob(digest)).body, whole);
}

TEST(ScriptedUpstream, AnswersRangesOrRefusesThem) {
  ScriptedUpstream upstream;
  std::string digest = upstream.add("0123456789");
  ScriptedUpstream::Reply part = upstream.request("GET", blob(digest), "", "Range: bytes=4-\r\n");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "456789");
  EXPECT_THAT(part.head, HasSubstr("Content-Range: bytes 4-9/10\r\n"));
  upstream.on(R"({"quirks": [{"ignore_range": {}}]})");
  EXPECT_EQ(upstream.request("GET", blob(digest), "", "Range: bytes=4-\r\n").status, 200);
}

TEST(ScriptedUpstream, WaitsAtAGate) {
  ScriptedUpstream upstream;
  std::string digest = upstream.add("hello");
  upstream.on(R"({"quirks": [{"stall": {"after": 2, "gate": "here"}}]})");
  std::string body;
  std::thread client([&] { body = upstream.request("GET", blob(digest)).body; });
  while (upstream.seen("GET").empty() || upstream.seen("GET")[0].sent < 2) std::this_thread::yield();
  EXPECT_FALSE(upstream.seen("GET")[0].is_ended);
  upstream.open_gate("here");
  client.join();
  EXPECT_EQ(body, "hello");
}

TEST(ScriptedUpstream, KnowsTags) {
  ScriptedUpstream upstream;
  std::string digest = upstream.add("{}", "application/vnd.oci.image.index.v1+json");
  upstream.tag("library/x", "latest", digest);
  ScriptedUpstream::Reply reply = upstream.request("GET", "/v2/library/x/manifests/latest");
  EXPECT_EQ(reply.body, "{}");
  EXPECT_THAT(reply.head, HasSubstr("Content-Type: application/vnd.oci.image.index.v1+json\r\n"));
  EXPECT_THAT(reply.head, HasSubstr("Docker-Content-Digest: " + digest));
}

TEST(ScriptedUpstreamDeathTest, AWrongRuleEndsTheTest) {
  ScriptedUpstream upstream;
  EXPECT_DEATH(upstream.on(R"({"quirks": [{"nothing": {}}]})"), "there is no quirk nothing");
}

}  // namespace
}  // namespace entrepot::testing
