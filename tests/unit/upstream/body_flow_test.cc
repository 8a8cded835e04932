// Bodies as they arrive: cut, chunked, too fast for their reader, not wanted any more.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <semaphore>

#include "base/task/completion.h"
#include "harness.h"
#include "scripted_server.h"
#include "transport_rig.h"

namespace entrepot::upstream::testing {
namespace {

const Digest kDigest = Digest::of("blob");

ScriptedServer::Handler once(std::string bytes) {
  return [bytes](const SeenRequest&, Connection& connection) {
    connection.send(bytes);
    connection.close();
  };
}

Task<int> destroyed(std::unique_ptr<BlobBody> body) {
  body.reset();
  co_return 0;
}

Result<std::string> blob_from(ScriptedServer::Handler handler) {
  ScriptedServer server(std::move(handler));
  Harness harness(settings_for(server.url()));
  return harness.get_blob("a", kDigest).get();
}

TEST(BodyFlow, CutBodyIsAnErrorAfterItsBytes) {
  Result<std::string> blob = blob_from(once("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"));
  ASSERT_FALSE(blob);
  EXPECT_EQ(blob.error().code, Errc::upstream_cut);
  EXPECT_TRUE(blob.error().message.starts_with("up.test: a@sha256:")) << blob.error().message;
}

// What comes before the connection breaks, in the end by `is_reset`, is read; nothing is asked again.
void expect_cut_after_bytes(bool is_reset) {
  ScriptedServer* self = nullptr;
  ScriptedServer server([&](const SeenRequest&, Connection& connection) {
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
    self->wait_for_stop();  // a reset takes back what was not read yet
    is_reset ? connection.reset() : connection.close();
  });
  self = &server;
  Harness harness(settings_for(server.url()));
  Registry& registry = harness.registry();
  auto body = harness
                  .begin<Result<std::unique_ptr<BlobBody>>>([&] {
                    return registry.get_blob(BlobRequest{"a", kDigest});
                  })
                  .get();
  ASSERT_TRUE(body) << body.error().message;
  auto read = [&] { return harness.begin<Result<std::string>>([&] { return (*body)->read(); }).get(); };
  EXPECT_EQ(read().value_or(""), "short");
  server.stop();
  Result<std::string> rest = read();
  ASSERT_FALSE(rest);
  EXPECT_EQ(rest.error().code, Errc::upstream_cut) << rest.error().message;
  EXPECT_EQ(server.requests().size(), 1U);
  harness.begin<int>([&body] { return destroyed(std::move(*body)); }).wait();
}

TEST(BodyFlow, ResetInsideTheBodyIsACutAfterItsBytesAndNotTriedAgain) { expect_cut_after_bytes(true); }

TEST(BodyFlow, CloseInsideTheBodyIsACutAfterItsBytesAndNotTriedAgain) { expect_cut_after_bytes(false); }

TEST(BodyFlow, ChunkedBodyIsPutTogether) {
  Result<std::string> blob = blob_from(once(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n"));
  ASSERT_TRUE(blob) << blob.error().message;
  EXPECT_EQ(*blob, "abcde");
}

TEST(BodyFlow, ChunkedBodyWithoutItsLastChunkIsCut) {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* body : {"3\r\nabc\r\n", "3\r\nab", "3\r\nabc\r\n0\r\n", ""}) {
    Result<std::string> blob = blob_from(once(head + body));
    ASSERT_FALSE(blob) << body;
    EXPECT_EQ(blob.error().code, Errc::upstream_cut) << body << ": " << blob.error().message;
  }
}

TEST(BodyFlow, ChunkedBodyThatMakesNoSenseIsNotACut) {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* body : {"x\r\nabc\r\n", "3\r\nabcdef\r\n", "fffffffffffffffffffff\r\nabc"}) {
    Result<std::string> blob = blob_from(once(head + body));
    ASSERT_FALSE(blob) << body;
    EXPECT_EQ(blob.error().code, Errc::upstream_failed) << body << ": " << blob.error().message;
  }
}

TEST(BodyFlow, CloseDelimitedBodyEndsWithTheConnection) {
  Result<std::string> blob = blob_from(once("HTTP/1.0 200 OK\r\n\r\nabc"));
  ASSERT_TRUE(blob) << blob.error().message;
  EXPECT_EQ(*blob, "abc");
}

TEST(BodyFlow, BytesBehindTheContentLengthAreDropped) {
  ScriptedServer server([](const SeenRequest&, Connection& connection) {
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef");
  });
  Harness harness(settings_for(server.url()));
  for (int i = 0; i < 2; ++i) {
    Result<std::string> blob = harness.get_blob("a", kDigest).get();
    ASSERT_TRUE(blob) << blob.error().message;
    EXPECT_EQ(*blob, "abc");
  }
  EXPECT_EQ(server.connections(), 2U) << "a connection with bytes too many is not used again";
}

TEST(BodyFlow, InterimResponsesAreSkippedUpToTen) {
  std::string interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
  std::string ten;
  for (int i = 0; i < 10; ++i) ten += interim;
  const std::string final = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
  EXPECT_TRUE(blob_from(once(ten + final)));
  EXPECT_FALSE(blob_from(once(ten + interim + final)));
}

TEST(BodyFlow, DestroyingABodyEndsItsTransfer) {
  ScriptedServer server([](const SeenRequest&, Connection& connection) {
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (connection.send("5\r\nhello\r\n")) {
    }
  });
  Harness harness(settings_for(server.url()));
  Registry& registry = harness.registry();
  auto body = harness
                  .begin<Result<std::unique_ptr<BlobBody>>>([&] {
                    return registry.get_blob(BlobRequest{"a", kDigest});
                  })
                  .get();
  ASSERT_TRUE(body) << body.error().message;
  EXPECT_EQ((*body)->size(), std::nullopt);
  harness.loop().post([body = std::move(*body)] {});
  EXPECT_TRUE(server.wait_for_closed(1));
}

struct Tally {
  Result<uint64_t> bytes = 0;
  size_t most_waiting = 0;
};

// Reads to the end; lets the loop turn `turns` times before each read, so that curl takes all it may.
Task<Tally> read_slowly(TransportRig& rig, int turns) {
  EventLoop& loop = rig.harness().loop();
  Tally tally;
  std::unique_ptr<Transfer> transfer = rig.start();
  Result<ResponseHead> head = co_await transfer->head();
  while (head) {
    for (int i = 0; i < turns; ++i) {
      Completion<int> turn;
      loop.post([&turn] { turn.complete(0); });
      int ignored = co_await turn;
      tally.most_waiting = std::max(tally.most_waiting, transfer->waiting() + static_cast<size_t>(ignored));
    }
    Result<std::string> chunk = co_await transfer->read();
    if (!chunk) tally.bytes = fail(chunk.error());
    if (!chunk || chunk->empty()) break;
    *tally.bytes += chunk->size();
  }
  co_return tally;
}

TEST(BodyFlow, SlowReaderHoldsAQuarterOfAMebibyte) {
  constexpr size_t kSize = 64 * 1024 * 1024;
  ScriptedServer server([](const SeenRequest&, Connection& connection) {
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
    std::string part(1024 * 1024, 'x');
    for (size_t sent = 0; sent < kSize; sent += part.size()) connection.send(part);
  });
  TransportRig rig(server.url());
  Tally tally = rig.harness().begin<Tally>([&] { return read_slowly(rig, 20); }).get();
  ASSERT_TRUE(tally.bytes) << tally.bytes.error().message;
  EXPECT_EQ(*tally.bytes, kSize);
  EXPECT_LE(tally.most_waiting, 256U * 1024U);
  EXPECT_GT(tally.most_waiting, 200U * 1024U) << "positive control: the reader was slower than the server";
}

TEST(BodyFlow, StalledBodyTimesOut) {
  ScriptedServer* self = nullptr;
  ScriptedServer server([&](const SeenRequest&, Connection& connection) {
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
    self->wait_for_stop();
    connection.close();
  });
  self = &server;
  TransportRig::Setup setup;
  setup.stall_timeout = Duration(20);
  TransportRig rig(server.url(), std::move(setup));
  Tally tally = rig.harness().begin<Tally>([&] { return read_slowly(rig, 0); }).get();
  ASSERT_FALSE(tally.bytes);
  EXPECT_EQ(tally.bytes.error().code, Errc::upstream_timeout);
}

// Reads what comes, and lets the server send more each time.
Task<Result<uint64_t>> read_drips(TransportRig& rig, std::counting_semaphore<>& more) {
  std::unique_ptr<Transfer> transfer = rig.start();
  Result<ResponseHead> head = co_await transfer->head();
  if (!head) co_return fail(head.error());
  uint64_t bytes = 0;
  while (true) {
    Result<std::string> chunk = co_await transfer->read();
    if (!chunk) co_return fail(chunk.error());
    if (chunk->empty()) co_return bytes;
    bytes += chunk->size();
    more.release();
  }
}

struct Drip {
  size_t piece = 1;  // so much at once, the next when this one was read
  uint64_t least_pieces = 1;
  Duration at_least{0};  // how long it goes on
};

Result<uint64_t> read_dripping(const Drip& drip, Duration stall_timeout) {
  std::counting_semaphore<> more(0);
  ScriptedServer server([&](const SeenRequest&, Connection& connection) {
    const std::string piece(drip.piece, 'x');
    SystemClock clock;
    connection.send("HTTP/1.0 200 OK\r\n\r\n");
    MonotonicTime end = clock.monotonic() + drip.at_least;
    for (uint64_t sent = 0; sent < drip.least_pieces || clock.monotonic() < end; ++sent) {
      if (!connection.send(piece)) return;
      more.acquire();
    }
    connection.close();
  });
  TransportRig::Setup setup;
  setup.stall_timeout = stall_timeout;
  TransportRig rig(server.url(), std::move(setup));
  Result<uint64_t> bytes = rig.harness().begin<Result<uint64_t>>([&] { return read_drips(rig, more); }).get();
  more.release(1'000'000);  // the server goes on until it sees that nobody listens
  return bytes;
}

TEST(BodyFlow, BodyThatDripsTimesOutThoughItNeverStalls) {
  constexpr Duration kStall{100};
  Result<uint64_t> bytes = read_dripping({.piece = 1, .least_pieces = 1'000'000}, kStall);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, Errc::upstream_timeout) << bytes.error().message;
  EXPECT_NE(bytes.error().message.find("too slow"), std::string::npos) << bytes.error().message;
}

TEST(BodyFlow, BodyThatMakesProgressMayTakeLongerThanTheStallTimeout) {
  constexpr Duration kStall{500};
  Result<uint64_t> bytes = read_dripping({.piece = 64 * 1024, .at_least = 3 * kStall}, kStall);
  ASSERT_TRUE(bytes) << bytes.error().message;
  EXPECT_GE(*bytes, 64U * 1024U);
}

TEST(BodyFlow, SmallBodyThatIsWholeInTimeIsFine) {
  Result<uint64_t> bytes = read_dripping({.piece = 1, .least_pieces = 10}, Duration(5'000));
  ASSERT_TRUE(bytes) << bytes.error().message;
  EXPECT_EQ(*bytes, 10U);
}

Task<Result<ResponseHead>> head_of(Transfer& transfer) { co_return co_await transfer.head(); }

TEST(BodyFlow, DestroyingATransferEndsAWaitForItsHead) {
  ScriptedServer* self = nullptr;
  ScriptedServer server([&](const SeenRequest&, Connection& connection) {
    self->wait_for_stop();
    connection.close();
  });
  self = &server;
  TransportRig rig(server.url());
  std::unique_ptr<Transfer> transfer;
  auto head = rig.harness().begin<Result<ResponseHead>>([&] {
    transfer = rig.start();
    return head_of(*transfer);
  });
  ASSERT_TRUE(server.wait_for_requests(1));
  rig.harness().loop().post([&] { transfer.reset(); });
  Result<ResponseHead> result = head.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::cancelled);
}

TEST(BodyFlow, TransfersBeyondTheLimitWaitForOneToEnd) {
  ScriptedServer* self = nullptr;
  std::atomic<int> count{0};
  ScriptedServer server([&](const SeenRequest&, Connection& connection) {
    if (++count <= 2) self->wait_for_stop();
    connection.send(response(200, "", "x"));
  });
  self = &server;
  TransportRig rig(server.url());
  std::vector<std::future<Tally>> all;
  for (int i = 0; i < 4; ++i) all.push_back(rig.harness().begin<Tally>([&] { return read_slowly(rig, 0); }));
  ASSERT_TRUE(server.wait_for_requests(2));
  all.push_back(rig.harness().begin<Tally>([&] { return read_slowly(rig, 0); }));
  EXPECT_EQ(server.requests().size(), 2U);
  server.stop();
  for (auto& one : all) EXPECT_EQ(one.get().bytes.value_or(0), 1U);
  EXPECT_TRUE(server.wait_for_requests(5));
}

// Starts that many transfers at once and counts those that are turned away.
Task<int> count_overloaded(TransportRig& rig, int count) {
  std::vector<std::unique_ptr<Transfer>> transfers;
  for (int i = 0; i < count; ++i) transfers.push_back(rig.start());
  rig.transport().shut_down();
  int overloaded = 0;
  for (std::unique_ptr<Transfer>& transfer : transfers) {
    Result<ResponseHead> head = co_await transfer->head();
    if (!head && head.error().code == Errc::overloaded) ++overloaded;
  }
  co_return overloaded;
}

TEST(BodyFlow, QueueForConnectionsIsBounded) {
  ScriptedServer server([](const SeenRequest&, Connection& connection) { connection.close(); });
  TransportRig rig(server.url());
  int overloaded = rig.harness().begin<int>([&] { return count_overloaded(rig, 1031); }).get();
  EXPECT_EQ(overloaded, 5) << "two run and 1024 wait";
}

}  // namespace
}  // namespace entrepot::upstream::testing
