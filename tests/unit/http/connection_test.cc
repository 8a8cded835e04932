#include "proxy/http/connection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <latch>
#include <thread>

#include "http_fixture.h"

namespace entrepot::http {
namespace {

class Connection : public HttpFixture {
 protected:
  static void echo_path(std::shared_ptr<Exchange> exchange) {
    std::string path(exchange->request().path);
    exchange->send(Head(200).add("Content-Type", "text/plain"), std::move(path));
  }
  double limit(const char* name) { return metric("entrepot_http_limits_total", {{"limit", name}}); }
};

TEST_F(Connection, AnswersARequest) {
  serve(echo_path);
  Answer answer = get("/v2/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "/v2/");
  EXPECT_EQ(answer.header("Content-Type"), "text/plain");
  EXPECT_EQ(answer.header("Content-Length"), "4");
  EXPECT_EQ(answer.header("Date"), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_FALSE(answer.has("Connection"));
}

TEST_F(Connection, IsKeptAliveFromRequestToRequest) {
  serve(echo_path);
  Client client = connect();
  for (int i = 0; i < 20; ++i) {
    std::string path = "/" + std::to_string(i);
    ASSERT_TRUE(client.send(request_for(path)));
    EXPECT_EQ(client.read_answer().body, path);
  }
  while (metric("entrepot_http_requests_total", {{"class", "2xx"}}) < 20) std::this_thread::yield();
}

TEST_F(Connection, TakesARequestByteByByte) {
  serve(echo_path);
  Client client = connect();
  for (char c : request_for("/slowly")) ASSERT_TRUE(client.send(std::string_view(&c, 1)));
  EXPECT_EQ(client.read_answer().body, "/slowly");
}

TEST_F(Connection, AnswersAThousandPipelinedRequestsInOrder) {
  serve(echo_path);
  Client client = connect();
  std::string all;
  for (int i = 0; i < 1000; ++i) all += request_for("/" + std::to_string(i));
  std::thread sender([&] { client.send(all); });
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(client.read_answer().body, "/" + std::to_string(i));
  sender.join();
}

TEST_F(Connection, AnswersThoseBeforeAnInvalidRequestAndThenRefuses) {
  serve(echo_path);
  Client client = connect();
  std::string all;
  for (int i = 0; i < 999; ++i) all += request_for("/" + std::to_string(i));
  std::thread sender([&] { client.send(all + "Invalid\r\n\r\n" + request_for("/never")); });
  for (int i = 0; i < 999; ++i) ASSERT_EQ(client.read_answer().body, "/" + std::to_string(i));
  Answer refusal = client.read_answer();
  EXPECT_EQ(refusal.status, 400);
  EXPECT_EQ(refusal.header("Connection"), "close");
  EXPECT_TRUE(client.is_at_end());
  sender.join();
}

TEST_F(Connection, RefusesInTheWordsOfTheRegistrySpec) {
  serve(echo_path);
  Client client = connect();
  client.send("GET /v2/ HTTP/2.0\r\nHost: r\r\n\r\n");
  Answer answer = client.read_answer();
  EXPECT_EQ(answer.status, 505);
  EXPECT_EQ(answer.header("Content-Type"), "application/json");
  EXPECT_EQ(answer.body,
            R"({"errors":[{"code":"UNSUPPORTED","message":"only HTTP/1.0 and HTTP/1.1 are spoken here"}]})");
  EXPECT_TRUE(client.is_at_end());
  EXPECT_FALSE(client.was_reset());
}

TEST_F(Connection, IgnoresWhatFollowsARequestThatCloses) {
  std::atomic<int> handled = 0;
  serve([&](std::shared_ptr<Exchange> exchange) {
    ++handled;
    echo_path(std::move(exchange));
  });
  Client client = connect();
  client.send("GET /a HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\nInvalid\r\n\r\n" + request_for("/b"));
  Answer answer = client.read_answer();
  EXPECT_EQ(answer.body, "/a");
  EXPECT_EQ(answer.header("Connection"), "close");
  EXPECT_TRUE(client.is_at_end());
  EXPECT_EQ(handled, 1);
}

TEST_F(Connection, ClosesAfterHttp10UnlessAskedToKeepAlive) {
  serve(echo_path);
  Client closing = connect();
  closing.send("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_EQ(closing.read_answer().header("Connection"), "close");
  EXPECT_TRUE(closing.is_at_end());

  Client keeping = connect();
  for (int i = 0; i < 2; ++i) {
    keeping.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(keeping.read_answer().header("Connection"), "keep-alive");
  }
}

TEST_F(Connection, AnswersAClientThatHasClosedItsSide) {
  serve(echo_path);
  Client client = connect();
  client.send(request_for("/last"));
  client.half_close();
  EXPECT_EQ(client.read_answer().body, "/last");
  EXPECT_TRUE(client.is_at_end());
}

TEST_F(Connection, AnswersARequestWhoseBodyIsStillBeingSent) {
  serve([](std::shared_ptr<Exchange> exchange) {
    EXPECT_TRUE(exchange->request().has_body);
    exchange->send(Head(405).add("Allow", "GET, HEAD"), "no");
  });
  for (const char* framing : {"Content-Length: 10485760\r\n", "Transfer-Encoding: chunked\r\n"}) {
    Client client = connect();
    client.send("POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: r\r\n" + std::string(framing) + "\r\n");
    EXPECT_TRUE(client.send(std::string(10 << 20, 'x')))
        << "the server stopped reading before the body's end";
    Answer answer = client.read_answer();
    EXPECT_EQ(answer.status, 405);
    EXPECT_EQ(answer.body, "no");
    EXPECT_EQ(answer.header("Connection"), "close");
    EXPECT_TRUE(client.is_at_end());
    EXPECT_FALSE(client.was_reset());
  }
}

TEST_F(Connection, StopsListeningToAnEndlessBody) {
  serve([](std::shared_ptr<Exchange> exchange) { exchange->send(Head(405), "no"); });
  Client client = connect();
  client.send("PUT /v2/a/manifests/x HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 405);
  settle();
  clock_.advance(Duration(2'001));
  while (client.send("1\r\nx\r\n")) {
  }
}

TEST_F(Connection, ClosesAClientThatSendsNothing) {
  serve(echo_path);
  Client client = connect();
  while (server_->connections() == 0) std::this_thread::yield();
  settle();
  clock_.advance(Duration(9'999));
  EXPECT_EQ(limit("header_timeout"), 0);
  clock_.advance(Duration(2));
  EXPECT_TRUE(client.is_at_end());
  EXPECT_FALSE(client.was_reset());
  EXPECT_EQ(limit("header_timeout"), 1);
}

TEST_F(Connection, TellsAClientThatItsHeadTookTooLong) {
  serve(echo_path);
  Client client = connect();
  client.send(request_for("/"));
  client.read_answer();
  client.send("GET / HTTP/1.1\r\nHos");
  // The clock may have gone on before the bytes were seen; then it goes on again.
  std::atomic<bool> done = false;
  std::thread ticking([&] {
    while (!done) {
      clock_.advance(Duration(1'000));
      std::this_thread::yield();
    }
  });
  Answer answer = client.read_answer();
  done = true;
  ticking.join();
  EXPECT_EQ(answer.status, 408);
  EXPECT_TRUE(client.is_at_end());
}

TEST_F(Connection, ClosesAnIdleConnectionAfterItsTime) {
  serve(echo_path);
  Client client = connect();
  client.send(request_for("/"));
  client.read_answer();
  settle();
  clock_.advance(Duration(75'001));
  EXPECT_TRUE(client.is_at_end());
}

TEST_F(Connection, SurvivesClientsThatLeaveAtOnce) {
  serve(echo_path);
  for (int i = 0; i < 50; ++i) {
    Client client = connect();
    client.close(i % 2 == 0);
  }
  EXPECT_EQ(get().status, 200);
}

TEST_F(Connection, SendsASmallAnswerToHeadWithoutItsBody) {
  serve(echo_path);
  Client client = connect();
  client.send("HEAD /abc HTTP/1.1\r\nHost: r\r\n\r\n" + request_for("/next"));
  Answer head = client.read_answer(true);
  EXPECT_EQ(head.header("Content-Length"), "4");
  EXPECT_EQ(client.read_answer().body, "/next");
}

TEST_F(Connection, SendsNoBodyWith204And304) {
  serve([](std::shared_ptr<Exchange> exchange) {
    exchange->send(Head(exchange->request().path == "/204" ? 204 : 304).add("ETag", "\"x\""), "body");
  });
  Client client = connect();
  for (int status : {204, 304}) {
    client.send(request_for("/" + std::to_string(status)));
    Answer answer = client.read_answer();
    EXPECT_EQ(answer.status, status);
    EXPECT_FALSE(answer.has("Content-Length"));
  }
  EXPECT_TRUE(client.unread().empty());
}

TEST_F(Connection, SendsCannedAnswers) {
  auto canned = make_canned(Head(200).add("ETag", "\"e\""), "canned body");
  serve([canned](std::shared_ptr<Exchange> exchange) { exchange->send_canned(canned); });
  Client client = connect();
  for (int i = 0; i < 3; ++i) {
    client.send(request_for("/"));
    Answer answer = client.read_answer();
    EXPECT_EQ(answer.body, "canned body");
    EXPECT_EQ(answer.header("ETag"), "\"e\"");
    EXPECT_TRUE(answer.has("Date"));
  }
  client.send("HEAD / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(client.read_answer(true).header("Content-Length"), "11");
  EXPECT_TRUE(client.is_at_end());
}

TEST_F(Connection, LeavesOutFieldsThatWouldBecomeLines) {
  serve([](std::shared_ptr<Exchange> exchange) {
    exchange->send(Head(200)
                       .add("X-Bad", "a\r\nX-Injected: b")
                       .add("X Bad", "c")
                       .add("content-length", "99")
                       .add("X-Good", "d"),
                   "x");
  });
  Answer answer = get();
  EXPECT_FALSE(answer.has("X-Bad"));
  EXPECT_FALSE(answer.has("X-Injected"));
  EXPECT_EQ(answer.header("Content-Length"), "1");
  EXPECT_EQ(answer.header("X-Good"), "d");
}

TEST_F(Connection, SendsBytesOfAFileToAFastClientWhileAnotherReadsSlowly) {
  const std::string bytes = pattern(64 << 20);
  SharedFd file = file_of(bytes);
  serve([&](std::shared_ptr<Exchange> exchange) { exchange->send_file(Head(200), file, 0, bytes.size()); });
  Client slow(listener_->port(), 32 * 1024);
  slow.send(request_for("/slow"));
  ASSERT_TRUE(slow.receive_some());

  Client fast = connect();
  fast.send(request_for("/fast"));
  Answer answer = fast.read_answer();
  EXPECT_TRUE(answer.is_whole);
  EXPECT_TRUE(answer.body == bytes);

  answer = slow.read_answer();
  EXPECT_TRUE(answer.is_whole);
  EXPECT_TRUE(answer.body == bytes);
}

TEST_F(Connection, SendsAPartOfAFile) {
  const std::string bytes = pattern(1 << 20);
  SharedFd file = file_of(bytes);
  serve([&](std::shared_ptr<Exchange> exchange) {
    exchange->send_file(Head(206).add("Content-Range", "x"), file, 300'001, 500'000);
  });
  Client client = connect();
  for (int i = 0; i < 3; ++i) {
    client.send(request_for("/"));
    EXPECT_TRUE(client.read_answer().body == bytes.substr(300'001, 500'000));
  }
  client.send("HEAD / HTTP/1.1\r\nHost: r\r\n\r\n");
  EXPECT_EQ(client.read_answer(true).header("Content-Length"), "500000");
}

TEST_F(Connection, SendsAnEmptyPartOfAFile) {
  SharedFd file = file_of("abc");
  serve([&](std::shared_ptr<Exchange> exchange) { exchange->send_file(Head(200), file, 0, 0); });
  Answer answer = get();
  EXPECT_TRUE(answer.is_whole);
  EXPECT_EQ(answer.header("Content-Length"), "0");
}

TEST_F(Connection, WarmsAColdFileOffTheLoop) {
  const std::string bytes = pattern(8 << 20);
  SharedFd file = file_of(bytes);
  fsync(file->get());
  posix_fadvise(file->get(), 0, 0, POSIX_FADV_DONTNEED);
  serve([&](std::shared_ptr<Exchange> exchange) { exchange->send_file(Head(200), file, 0, bytes.size()); });
  EXPECT_TRUE(get().body == bytes);
  char byte;
  EXPECT_EQ(pread(file->get(), &byte, 1, 0), 1);
  EXPECT_GE(metrics_.counter("entrepot_http_cold_windows_total", "").value(), 1);
}

TEST_F(Connection, CutsAnAnswerWhoseFileIsTooShort) {
  SharedFd file = file_of(pattern(100'000));
  serve([&](std::shared_ptr<Exchange> exchange) { exchange->send_file(Head(200), file, 0, 200'000); });
  Client client = connect();
  client.send(request_for("/"));
  Answer answer = client.read_answer();
  EXPECT_FALSE(answer.is_whole);
  EXPECT_TRUE(client.was_reset());
}

TEST_F(Connection, ClosesAClientThatTakesNothing) {
  const std::string bytes = pattern(32 << 20);
  SharedFd file = file_of(bytes);
  serve([&](std::shared_ptr<Exchange> exchange) { exchange->send_file(Head(200), file, 0, bytes.size()); });
  Client client(listener_->port(), 4096);
  client.send(request_for("/"));
  while (limit("stalled_client") == 0) {
    clock_.advance(Duration(60'000));
    std::this_thread::yield();
  }
  EXPECT_LT(client.read_to_end().size(), bytes.size());
  EXPECT_TRUE(client.was_reset());
}

TEST_F(Connection, LogsARequestOnce) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  Setup setup;
  setup.log_fd = write_end.get();
  serve(
      [](std::shared_ptr<Exchange> exchange) {
        exchange->note().repository = "library/alpine";
        exchange->note().cache_status = "hit";
        echo_path(std::move(exchange));
      },
      setup);
  Client client = connect();
  client.send(request_for("/v2/a\x7e?secret=x"));
  client.read_answer();
  std::string line;
  char piece[4096];
  while (line.find('\n') == std::string::npos) {
    ssize_t got = read(read_end.get(), piece, sizeof piece);
    ASSERT_GT(got, 0);
    line.append(piece, static_cast<size_t>(got));
  }
  EXPECT_NE(line.find("method=GET target=/v2/a~ "), std::string::npos) << line;
  EXPECT_NE(line.find("repository=library/alpine"), std::string::npos) << line;
  EXPECT_NE(line.find("cache_status=hit status=200"), std::string::npos) << line;
  EXPECT_EQ(line.find("secret"), std::string::npos) << line;
  stop();
  logger_.reset();
}

}  // namespace
}  // namespace entrepot::http
