#include "proxy/http/exchange.h"

#include <gtest/gtest.h>

#include <latch>

#include "http_fixture.h"

namespace entrepot::http {
namespace {

struct Script {
  std::optional<uint64_t> length;
  std::vector<std::string> pieces;
  SharedFd file;
  uint64_t file_size = 0;
  bool aborts = false;
};

Task<void> follow(std::shared_ptr<Exchange> exchange, std::shared_ptr<const Script> script) {
  exchange->start(Head(200), script->length);
  for (const std::string& piece : script->pieces) {
    std::string copy = piece;
    Status written = co_await exchange->write(std::move(copy));
    if (!written) co_return;
  }
  if (script->file) {
    SharedFd file = script->file;
    uint64_t middle = script->file_size / 3;
    Status first = co_await exchange->write_file(file, 0, middle);
    if (!first) co_return;
    Status second = co_await exchange->write_file(file, middle, script->file_size);
    if (!second) co_return;
  }
  if (script->aborts)
    exchange->abort();
  else
    exchange->finish();
}

class ExchangeOf : public HttpFixture {
 protected:
  void serve_script(const Script& source) {
    // The last flow may outlive the test's body by a moment.
    auto script = std::make_shared<const Script>(source);
    serve([script](std::shared_ptr<Exchange> exchange) {
      EventLoop& loop = exchange->loop();
      loop.spawn(follow(std::move(exchange), script));
    });
  }
  Answer ask(const std::string& method, const std::string& version) {
    Client client = connect();
    client.send(method + " / HTTP/" + version + "\r\nHost: r\r\n\r\n");
    Answer answer = client.read_answer(method == "HEAD");
    is_kept_ = false;
    if (answer.is_whole && !answer.has("Connection") && answer.has("Date")) {
      client.send(method + " / HTTP/1.1\r\nHost: r\r\n\r\n");
      is_kept_ = client.read_answer(method == "HEAD").status == 200;
    }
    was_reset_ = client.was_reset();
    return answer;
  }
  bool is_kept_ = false;
  bool was_reset_ = false;
};

using AFlow = ExchangeOf;

TEST_F(AFlow, SendsABodyOfKnownLengthInParts) {
  std::string bytes = pattern(3 << 20);
  Script script{9 + bytes.size(), {"one", "", "two", "345"}, file_of(bytes), bytes.size()};
  serve_script(script);
  Answer answer = ask("GET", "1.1");
  EXPECT_TRUE(answer.is_whole);
  EXPECT_TRUE(answer.body == "onetwo345" + bytes);
  EXPECT_TRUE(is_kept_);
}

TEST_F(AFlow, SendsABodyOfUnknownLengthInChunks) {
  std::string bytes = pattern(1 << 20);
  Script script{std::nullopt, {"one", "", "two"}, file_of(bytes), bytes.size()};
  serve_script(script);
  Answer answer = ask("GET", "1.1");
  EXPECT_EQ(answer.header("Transfer-Encoding"), "chunked");
  EXPECT_FALSE(answer.has("Content-Length"));
  EXPECT_TRUE(answer.body == "onetwo" + bytes);
  EXPECT_TRUE(is_kept_);
}

TEST_F(AFlow, EndsABodyOfUnknownLengthForHttp10ByClosing) {
  std::string bytes = pattern(1 << 20);
  Script script{std::nullopt, {"one"}, file_of(bytes), bytes.size()};
  serve_script(script);
  Answer answer = ask("GET", "1.0");
  EXPECT_FALSE(answer.has("Transfer-Encoding"));
  EXPECT_TRUE(answer.is_whole);
  EXPECT_TRUE(answer.body == "one" + bytes);
}

TEST_F(AFlow, SendsTheHeadAloneToHead) {
  Script script{12, {"twelve bytes"}, nullptr};
  serve_script(script);
  Answer answer = ask("HEAD", "1.1");
  EXPECT_EQ(answer.header("Content-Length"), "12");
  EXPECT_TRUE(is_kept_);
}

TEST_F(AFlow, AnswersHeadOfUnknownLengthWithoutFraming) {
  Script script{std::nullopt, {"abc"}, nullptr};
  serve_script(script);
  Answer answer = ask("HEAD", "1.1");
  EXPECT_FALSE(answer.has("Content-Length"));
  EXPECT_FALSE(answer.has("Transfer-Encoding"));
  EXPECT_TRUE(is_kept_);
}

TEST_F(AFlow, CutsTheBodyWhenItAborts) {
  for (std::optional<uint64_t> length : {std::optional<uint64_t>(1000), std::optional<uint64_t>()}) {
    for (const char* version : {"1.0", "1.1"}) {
      stop();
      Script script{length, {"begun"}, nullptr, 0, true};
      serve_script(script);
      Answer answer = ask("GET", version);
      EXPECT_FALSE(answer.is_whole);
      EXPECT_TRUE(was_reset_);
      EXPECT_EQ(metrics_.counter("entrepot_http_requests_total", "", {{"class", "5xx"}}).value(), 0);
    }
  }
}

TEST_F(AFlow, IsCutWhenItFinishesTooEarly) {
  Script script{1000, {"short"}, nullptr};
  serve_script(script);
  EXPECT_FALSE(ask("GET", "1.1").is_whole);
}

TEST_F(AFlow, IsCutWhenItWritesTooMuch) {
  Script script{3, {"longer"}, nullptr};
  serve_script(script);
  Answer answer = ask("GET", "1.1");
  EXPECT_FALSE(answer.is_whole);
  EXPECT_EQ(answer.body, "");
}

TEST_F(AFlow, ClosesWithoutAnAnswerWhenItAbortsBeforeTheHead) {
  serve([](std::shared_ptr<Exchange> exchange) { exchange->abort(); });
  Client client = connect();
  client.send(request_for("/"));
  EXPECT_TRUE(client.is_at_end());
}

TEST_F(AFlow, IsCutWhenItIsDropped) {
  serve([](std::shared_ptr<Exchange> exchange) {
    if (exchange->request().path == "/started") exchange->start(Head(200), 5);
  });
  Client fresh = connect();
  fresh.send(request_for("/"));
  EXPECT_TRUE(fresh.is_at_end());
  EXPECT_FALSE(get("/started").is_whole);
}

TEST_F(AFlow, MayKeepItsExchangeAfterTheAnswer) {
  std::vector<std::shared_ptr<Exchange>> kept;
  serve([&kept](std::shared_ptr<Exchange> exchange) {
    exchange->send(Head(200), std::string(exchange->request().path));
    kept.push_back(std::move(exchange));
  });
  {
    Client client = connect();
    client.send(request_for("/a") + request_for("/b"));
    EXPECT_EQ(client.read_answer().body, "/a");
    EXPECT_EQ(client.read_answer().body, "/b");
  }
  std::latch seen(1);
  loops_->at(0).post([&] {
    EXPECT_EQ(kept.at(0)->request().path, "/a");
    EXPECT_EQ(kept.at(1)->request().path, "/b");
    kept.clear();
    seen.count_down();
  });
  seen.wait();
}

// What a flow saw after its client had left.
struct Left {
  std::latch left{1};
  Errc code = Errc::internal;
  bool was_connected = true;
};

Task<void> write_until_cancelled(std::shared_ptr<Exchange> exchange, SharedFd file, uint64_t size,
                                 Left& left) {
  exchange->start(Head(200), uint64_t{1} << 50);
  while (true) {
    Status sent = co_await exchange->write_file(file, 0, size);
    if (sent) continue;
    left.code = sent.error().code;
    left.was_connected = exchange->is_connected();
    Status again = co_await exchange->write_file(file, 0, size);
    if (again) left.code = Errc::internal;
    exchange->finish();
    left.left.count_down();
    co_return;
  }
}

TEST_F(AFlow, IsCancelledWhenItsClientLeaves) {
  std::string bytes = pattern(4 << 20);
  SharedFd file = file_of(bytes);
  Left left;
  serve([&](std::shared_ptr<Exchange> exchange) {
    EventLoop& loop = exchange->loop();
    loop.spawn(write_until_cancelled(std::move(exchange), file, bytes.size(), left));
  });
  Client client = connect();
  client.send(request_for("/"));
  ASSERT_TRUE(client.receive_some());
  client.close();
  left.left.wait();
  stop();
  EXPECT_EQ(left.code, Errc::cancelled);
  EXPECT_FALSE(left.was_connected);
}

TEST_F(AFlow, IsCancelledWhenTheServerShutsDown) {
  std::string bytes = pattern(4 << 20);
  SharedFd file = file_of(bytes);
  Left left;
  serve([&](std::shared_ptr<Exchange> exchange) {
    EventLoop& loop = exchange->loop();
    loop.spawn(write_until_cancelled(std::move(exchange), file, bytes.size(), left));
  });
  Client client = connect();
  client.send(request_for("/"));
  ASSERT_TRUE(client.receive_some());
  stop();
  EXPECT_EQ(left.code, Errc::cancelled);
}

TEST_F(AFlow, MayBeAnsweredFromAnotherTurnWithMoreRequestsWaiting) {
  serve([](std::shared_ptr<Exchange> exchange) {
    EventLoop& loop = exchange->loop();
    loop.post([exchange = std::move(exchange)] {
      exchange->send(Head(200), std::string(exchange->request().path));
    });
  });
  Client client = connect();
  std::string all;
  for (int i = 0; i < 100; ++i) all += request_for("/" + std::to_string(i));
  client.send(all);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(client.read_answer().body, "/" + std::to_string(i));
}

}  // namespace
}  // namespace entrepot::http
