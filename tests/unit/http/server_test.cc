#include "proxy/http/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <latch>
#include <set>
#include <thread>

#include "http_fixture.h"

namespace entrepot::http {
namespace {

class AServer : public HttpFixture {
 protected:
  static void say_ok(std::shared_ptr<Exchange> exchange) { exchange->send(Head(200), "ok"); }
  std::string socket_path() { return testing::TempDir() + "entrepot_" + std::to_string(getpid()) + ".sock"; }
};

TEST_F(AServer, SpreadsItsConnectionsEvenlyOverTheLoops) {
  Setup setup;
  setup.loops = 4;
  serve(
      [](std::shared_ptr<Exchange> exchange) {
        exchange->send(Head(200), std::to_string(exchange->loop().index()));
      },
      setup);
  std::vector<Client> clients;
  std::map<std::string, int> count;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(connect());
    clients.back().send(request_for("/"));
    ++count[clients.back().read_answer().body];
  }
  for (const auto& [loop, connections] : count) EXPECT_EQ(connections, 10) << "loop " << loop;
  EXPECT_EQ(server_->connections(), 40u);
}

TEST_F(AServer, AcceptsNoMoreThanItsLimitUntilThereIsRoom) {
  Setup setup;
  setup.loops = 2;
  setup.max_connections = 2;
  serve(say_ok, setup);
  std::vector<Client> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(connect());
    clients.back().send(request_for("/"));
    EXPECT_EQ(clients.back().read_answer().status, 200);
  }
  Client third = connect();
  third.send(request_for("/"));
  while (metric("entrepot_http_limits_total", {{"limit", "connections"}}) == 0) std::this_thread::yield();
  EXPECT_EQ(server_->connections(), 2u);
  clients.front().close();
  EXPECT_EQ(third.read_answer().status, 200);
}

TEST_F(AServer, WaitsForADescriptorWhenThereIsNone) {
  serve(say_ok);
  EXPECT_EQ(get().status, 200);
  while (server_->connections() > 0) std::this_thread::yield();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  UniqueFd next(dup(0));
  rlimit low = before;
  low.rlim_cur = static_cast<rlim_t>(next.get()) + 1;  // room for the client's own socket
  next.reset();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  Client client = connect();
  while (metric("entrepot_http_limits_total", {{"limit", "descriptors"}}) == 0) std::this_thread::yield();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  while (server_->connections() == 0) {
    clock_.advance(Duration(100));
    std::this_thread::yield();
  }
  client.send(request_for("/"));
  EXPECT_EQ(client.read_answer().status, 200);
}

TEST_F(AServer, RefusesAnAddressThatIsTaken) {
  serve(say_ok);
  auto address = parse_address(listener_->address());
  ASSERT_TRUE(address);
  auto second = Listener::open(*address, 0600);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::config_invalid);
}

TEST_F(AServer, ListensOnAUnixSocketAndRemovesItAtTheEnd) {
  Setup setup;
  setup.unix_path = socket_path();
  serve(say_ok, setup);
  Client client(setup.unix_path);
  client.send(request_for("/"));
  EXPECT_EQ(client.read_answer().body, "ok");
  stop();
  EXPECT_NE(access(setup.unix_path.c_str(), F_OK), 0);
}

TEST(AListener, GivesItsSocketFileTheModeItWasTold) {
  std::string path = testing::TempDir() + "entrepot_mode_" + std::to_string(getpid()) + ".sock";
  auto address = parse_address("unix:" + path);
  auto listener = Listener::open(*address, 0600);
  ASSERT_TRUE(listener) << listener.error().message;
  struct stat what {};
  ASSERT_EQ(stat(path.c_str(), &what), 0);
  EXPECT_EQ(what.st_mode & 0777, 0600u);
  EXPECT_EQ((*listener)->address(), "unix:" + path);
}

TEST(AListener, ReplacesASocketFileThatNobodyAnswersOn) {
  std::string path = testing::TempDir() + "entrepot_stale_" + std::to_string(getpid()) + ".sock";
  auto address = parse_address("unix:" + path);
  {
    UniqueFd dead(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<const sockaddr*>(&address->storage), address->length), 0);
  }
  auto first = Listener::open(*address, 0600);
  ASSERT_TRUE(first) << first.error().message;
  auto second = Listener::open(*address, 0600);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("in use"), std::string::npos) << second.error().message;
}

TEST(AListener, LeavesAFileAloneThatIsNoSocket) {
  std::string path = testing::TempDir() + "entrepot_file_" + std::to_string(getpid());
  UniqueFd file(open(path.c_str(), O_CREAT | O_WRONLY, 0600));
  auto address = parse_address("unix:" + path);
  EXPECT_FALSE(Listener::open(*address, 0600));
  EXPECT_EQ(unlink(path.c_str()), 0);
}

TEST(AListener, TakesOverASocketButNothingElse) {
  auto opened = Listener::open(*parse_address("127.0.0.1:0"), 0);
  ASSERT_TRUE(opened);
  UniqueFd no_listener(socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_FALSE(Listener::adopt(std::move(no_listener)));
  UniqueFd listening(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(listen(listening.get(), 1), 0);
  auto adopted = Listener::adopt(std::move(listening));
  ASSERT_TRUE(adopted);
  EXPECT_NE((*adopted)->port(), 0);
}

TEST_F(AServer, LetsRunningAnswersEndWhenItDrains) {
  std::string bytes = pattern(32 << 20);
  SharedFd file = file_of(bytes);
  Setup setup;
  setup.loops = 2;
  serve([&](std::shared_ptr<Exchange> exchange) { exchange->send_file(Head(200), file, 0, bytes.size()); },
        setup);
  std::vector<Client> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back(listener_->port(), 32 * 1024);
    readers.back().send(request_for("/"));
    ASSERT_TRUE(readers.back().receive_some());
  }
  std::latch drained(1);
  server_->drain(Duration(600'000), [&] { drained.count_down(); });
  for (Client& reader : readers) {
    Answer answer = reader.read_answer();
    EXPECT_TRUE(answer.is_whole);
    EXPECT_TRUE(answer.body == bytes);
    EXPECT_TRUE(reader.is_at_end());
    EXPECT_FALSE(reader.was_reset());
    reader.close();
  }
  drained.wait();
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(AServer, ClosesIdleConnectionsWhenItDrains) {
  serve(say_ok);
  Client idle = connect();
  idle.send(request_for("/"));
  EXPECT_EQ(idle.read_answer().status, 200);
  std::latch drained(1);
  server_->drain(Duration(600'000), [&] { drained.count_down(); });
  EXPECT_TRUE(idle.is_at_end());
  EXPECT_FALSE(idle.was_reset());
  drained.wait();
  EXPECT_TRUE(server_->is_draining());
}

TEST_F(AServer, SaysThatItClosesWhileItDrains) {
  std::shared_ptr<Exchange> waiting;
  std::latch asked(1);
  serve([&](std::shared_ptr<Exchange> exchange) {
    waiting = std::move(exchange);
    asked.count_down();
  });
  Client client = connect();
  client.send(request_for("/"));
  asked.wait();
  std::latch drained(1);
  server_->drain(Duration(600'000), [&] { drained.count_down(); });
  // Posted after the drain's first step; the second step is posted by it, so go round once more.
  loops_->at(0).post([&] {
    loops_->at(0).post([&] {
      waiting->send(Head(200), "late");
      waiting.reset();
    });
  });
  Answer answer = client.read_answer();
  EXPECT_EQ(answer.body, "late");
  EXPECT_EQ(answer.header("Connection"), "close");
  EXPECT_TRUE(client.is_at_end());
  client.close();
  drained.wait();
}

TEST_F(AServer, CutsWhatIsStillRunningAtTheEndOfTheDrain) {
  std::string bytes = pattern(32 << 20);
  SharedFd file = file_of(bytes);
  serve([&](std::shared_ptr<Exchange> exchange) { exchange->send_file(Head(200), file, 0, bytes.size()); });
  Client client(listener_->port(), 4096);
  client.send(request_for("/"));
  ASSERT_TRUE(client.receive_some());
  std::latch drained(1);
  server_->drain(Duration(20), [&] { drained.count_down(); });
  // The drain's second step, which sets the time-out, is posted by its first.
  std::latch is_set(1);
  loops_->at(0).post([&] { loops_->at(0).post([&] { is_set.count_down(); }); });
  is_set.wait();
  clock_.advance(Duration(20));
  drained.wait();
  EXPECT_FALSE(client.read_answer().is_whole);
}

TEST_F(AServer, RefusesNewClientsWhileItDrains) {
  serve(say_ok);
  std::latch drained(1);
  uint16_t port = listener_->port();
  server_->drain(Duration(600'000), [&] { drained.count_down(); });
  drained.wait();
  auto again = Listener::open(*parse_address("127.0.0.1:" + std::to_string(port)), 0);
  EXPECT_TRUE(again) << "the address is free for a successor";
}

}  // namespace
}  // namespace entrepot::http
