#include "http_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <latch>
#include <random>

namespace entrepot::http {
namespace {

constexpr int kPatienceSeconds = 30;

void set_patience(int fd) {
  timeval patience{kPatienceSeconds, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

}  // namespace

std::string Answer::header(std::string_view name) const {
  for (size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at + 2)) {
    std::string_view line = std::string_view(head).substr(at + 2);
    if (line.size() > name.size() + 1 && strncasecmp(line.data(), name.data(), name.size()) == 0 &&
        line[name.size()] == ':')
      return std::string(line.substr(name.size() + 2, line.find("\r\n") - name.size() - 2));
  }
  return "(none)";
}

bool Answer::has(std::string_view name) const { return header(name) != "(none)"; }

Client::Client(uint16_t port, int receive_buffer) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (receive_buffer > 0) setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  set_patience(fd());
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
}

Client::Client(const std::string& unix_path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  set_patience(fd());
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  unix_path.copy(name.sun_path, sizeof name.sun_path - 1);
  EXPECT_EQ(connect(fd(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
}

Client::~Client() = default;
Client::Client(Client&& other) noexcept = default;

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void Client::half_close() { shutdown(fd(), SHUT_WR); }

void Client::close(bool reset) {
  linger now{1, 0};
  if (reset) setsockopt(fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd_.reset();
}

bool Client::receive_some() {
  static thread_local std::array<char, 256 * 1024> piece;
  ssize_t got = recv(fd(), piece.data(), piece.size(), 0);
  if (got > 0) unread_.append(piece.data(), static_cast<size_t>(got));
  if (got < 0) {
    was_reset_ = errno == ECONNRESET;
    EXPECT_TRUE(was_reset_) << "the server kept a client waiting: " << strerror(errno);
  }
  return got > 0;
}

std::string Client::read_to_end() {
  while (receive_some()) {
  }
  return std::exchange(unread_, {});
}

bool Client::is_at_end() { return unread_.empty() && !receive_some(); }

Answer Client::read_answer(bool is_head) {
  Answer answer;
  size_t end;
  while ((end = unread_.find("\r\n\r\n")) == std::string::npos)
    if (!receive_some()) return answer;
  answer.head = unread_.substr(0, end + 2);
  unread_.erase(0, end + 4);
  answer.status = std::atoi(answer.head.substr(9, 3).c_str());
  if (is_head || answer.status == 304 || answer.status == 204) {
    answer.is_whole = true;
  } else if (answer.has("Content-Length")) {
    size_t length = std::stoul(answer.header("Content-Length"));
    while (unread_.size() < length && receive_some()) {
    }
    answer.is_whole = unread_.size() >= length;
    answer.body = unread_.substr(0, length);
    unread_.erase(0, length);
  } else if (answer.has("Transfer-Encoding")) {
    while (true) {
      size_t line;
      while ((line = unread_.find("\r\n")) == std::string::npos)
        if (!receive_some()) return answer;
      size_t size = std::stoul(unread_.substr(0, line), nullptr, 16);
      while (unread_.size() < line + 2 + size + 2)
        if (!receive_some()) return answer;
      answer.body += unread_.substr(line + 2, size);
      unread_.erase(0, line + 2 + size + 2);
      if (size == 0) break;
    }
    answer.is_whole = true;
  } else {
    answer.body = read_to_end();
    answer.is_whole = !was_reset_;
  }
  return answer;
}

HttpFixture::HttpFixture() { signal(SIGPIPE, SIG_IGN); }
HttpFixture::~HttpFixture() { stop(); }

void HttpFixture::serve(FunctionHandler::Function function, Setup setup) {
  setup.limits.sweep_period = Duration(5);
  Logger::Options log;
  log.fd = setup.log_fd >= 0 ? setup.log_fd : open("/dev/null", O_WRONLY | O_CLOEXEC);
  logger_.emplace(log);
  handler_ = std::make_unique<FunctionHandler>(std::move(function));
  loops_ = std::make_unique<LoopGroup>(setup.loops, clock_, *logger_, metrics_);
  disk_ = std::make_unique<ThreadedDiskPool>(2, *logger_, metrics_);
  server_ = std::make_unique<Server>(*loops_, *disk_, metrics_, Server::Options{setup.limits});
  Server::ListenerOptions options;
  options.handlers.assign(setup.loops, handler_.get());
  options.max_connections = setup.max_connections;
  auto address = parse_address(setup.unix_path.empty() ? "127.0.0.1:0" : "unix:" + setup.unix_path);
  ASSERT_TRUE(address);
  auto listener = server_->add_listener(*address, options);
  ASSERT_TRUE(listener) << listener.error().message;
  listener_ = *listener;
  loops_->start();
  server_->start();
}

void HttpFixture::stop() {
  if (!server_) return;
  server_->shut_down();
  disk_.reset();
  loops_->stop();
  server_.reset();
  loops_.reset();
}

void HttpFixture::settle() {
  std::latch ended(static_cast<ptrdiff_t>(loops_->size()));
  for (size_t i = 0; i < loops_->size(); ++i) loops_->at(i).post([&ended] { ended.count_down(); });
  ended.wait();
}

Answer HttpFixture::get(const std::string& path) {
  Client client = connect();
  client.send(request_for(path));
  return client.read_answer();
}

SharedFd file_of(std::string_view bytes) {
  // Not in /tmp, which may be memory: what lies there is never cold.
  std::string name = "/var/tmp/entrepot_http_XXXXXX";
  UniqueFd fd(mkostemp(name.data(), O_CLOEXEC));
  EXPECT_TRUE(fd.is_open());
  unlink(name.c_str());
  while (!bytes.empty()) {
    ssize_t written = write(fd.get(), bytes.data(), bytes.size());
    if (written <= 0) return nullptr;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return std::make_shared<const OpenFile>(std::move(fd));
}

std::string pattern(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (size_t i = 0; i + 4 <= size; i += 4) {
    auto word = static_cast<uint32_t>(random());
    __builtin_memcpy(&bytes[i], &word, 4);
  }
  return bytes;
}

std::string request_for(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: r.test\r\n\r\n";
}

}  // namespace entrepot::http
