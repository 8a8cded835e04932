#include "scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "base/check.h"

namespace entrepot::upstream::testing {
namespace {

constexpr std::chrono::seconds kDeadline{20};

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

SeenRequest parse(const std::string& head) {
  SeenRequest request;
  size_t space = head.find(' ');
  request.method = head.substr(0, space);
  request.target = head.substr(space + 1, head.find(' ', space + 1) - space - 1);
  for (size_t at = head.find("\r\n") + 2; at < head.size();) {
    size_t end = head.find("\r\n", at);
    size_t colon = head.find(':', at);
    if (end == at || end == std::string::npos) break;
    request.headers[lower(head.substr(at, colon - at))] = head.substr(colon + 2, end - colon - 2);
    at = end + 2;
  }
  return request;
}

}  // namespace

std::string SeenRequest::header(const std::string& name) const {
  auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

bool Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(),
                                               static_cast<int>(std::min<size_t>(bytes.size(), 65536)))
                                   : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      is_closed_ = true;
      return false;
    }
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void Connection::reset() {
  linger hard{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  is_closed_ = true;
}

bool Connection::read_head(std::string& pending, std::string& head) {
  while (pending.find("\r\n\r\n") == std::string::npos) {
    char buffer[4096];
    ssize_t size =
        ssl_ != nullptr ? SSL_read(ssl_, buffer, sizeof buffer) : ::recv(fd_, buffer, sizeof buffer, 0);
    if (size <= 0) return false;
    pending.append(buffer, static_cast<size_t>(size));
  }
  size_t end = pending.find("\r\n\r\n") + 4;
  head = pending.substr(0, end);
  pending.erase(0, end);
  return true;
}

ScriptedServer::ScriptedServer(Handler handler, const std::string& certificate, const std::string& key)
    : handler_(std::move(handler)), context_(nullptr, &SSL_CTX_free) {
  std::signal(SIGPIPE, SIG_IGN);  // SSL_write has no MSG_NOSIGNAL
  if (!certificate.empty()) {
    context_.reset(SSL_CTX_new(TLS_server_method()));
    CHECK(SSL_CTX_use_certificate_chain_file(context_.get(), certificate.c_str()) == 1);
    CHECK(SSL_CTX_use_PrivateKey_file(context_.get(), key.c_str(), SSL_FILETYPE_PEM) == 1);
  }
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  CHECK(::listen(listener_, 128) == 0);
  socklen_t size = sizeof address;
  CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

ScriptedServer::~ScriptedServer() {
  stop();
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    std::lock_guard lock(mutex_);
    for (int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

void ScriptedServer::accept_all() {
  while (true) {
    int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    std::lock_guard lock(mutex_);
    ++accepted_;
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void ScriptedServer::serve(int fd) {
  SSL* ssl = nullptr;
  bool is_ready = true;
  if (context_) {
    ssl = SSL_new(context_.get());
    SSL_set_fd(ssl, fd);
    is_ready = SSL_accept(ssl) == 1;
  }
  Connection connection(fd, ssl);
  if (is_ready) serve_requests(connection);
  if (ssl != nullptr) {
    SSL_shutdown(ssl);
    SSL_free(ssl);
  }
  std::lock_guard lock(mutex_);
  std::erase(open_, fd);
  ::close(fd);
  ++closed_;
  changed_.notify_all();
}

void ScriptedServer::serve_requests(Connection& connection) {
  std::string pending;
  std::string head;
  while (!connection.is_closed_ && connection.read_head(pending, head)) {
    SeenRequest request = parse(head);
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
      changed_.notify_all();
    }
    handler_(request, connection);
  }
}

std::vector<SeenRequest> ScriptedServer::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

size_t ScriptedServer::connections() const {
  std::lock_guard lock(mutex_);
  return accepted_;
}

bool ScriptedServer::wait_for_requests(size_t count) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kDeadline, [&] { return requests_.size() >= count; });
}

bool ScriptedServer::wait_for_closed(size_t count) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kDeadline, [&] { return closed_ >= count; });
}

void ScriptedServer::stop() {
  std::lock_guard lock(mutex_);
  is_stopped_ = true;
  changed_.notify_all();
}

void ScriptedServer::wait_for_stop() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return is_stopped_; });
}

std::string response(int status, std::string_view header_lines, std::string_view body) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " Status\r\n";
  text += header_lines;
  text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  text += body;
  return text;
}

}  // namespace entrepot::upstream::testing
