#include "proxy/http/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace entrepot::http {
namespace {

constexpr int kBacklog = 4096;
constexpr int kAcceptsPerWake = 64;
constexpr Duration kDescriptorPause{100};

void set_option(int socket, int level, int name) {
  int on = 1;
  setsockopt(socket, level, name, &on, sizeof on);
}

// Nobody listens on a socket file when connecting to it is refused: its owner died without removing it.
Status remove_stale_socket(const Address& address) {
  std::string path = address.path();
  struct stat what {};
  if (lstat(path.c_str(), &what) != 0) return {};
  if (!S_ISSOCK(what.st_mode)) return fail(Errc::config_invalid, path + " exists and is no socket");
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.is_open()) return fail(system_error("socket", errno));
  int result = connect(probe.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length);
  if (result == 0 || errno == EAGAIN)
    return fail(Errc::config_invalid, path + " is in use: another process answers on it");
  if (errno != ECONNREFUSED) return fail(system_error("connect to " + path, errno));
  if (unlink(path.c_str()) != 0) return fail(system_error("unlink " + path, errno));
  return {};
}

Status bind_to(int socket, const Address& address) {
  if (bind(socket, reinterpret_cast<const sockaddr*>(&address.storage), address.length) == 0) return {};
  Error error = system_error("listen on " + format_address(address.storage, address.length), errno);
  if (errno == EADDRINUSE || errno == EACCES || errno == EADDRNOTAVAIL) error.code = Errc::config_invalid;
  return fail(std::move(error));
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(const Address& address, mode_t unix_mode) {
  UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.is_open()) return fail(system_error("socket", errno));
  if (address.is_unix()) {
    ENTREPOT_TRY(remove_stale_socket(address));
    // The mode of the descriptor becomes that of the file: there is no moment at which others could connect.
    fchmod(socket.get(), unix_mode);
  } else {
    set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR);
    if (address.family() == AF_INET6) set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY);
  }
  ENTREPOT_TRY(bind_to(socket.get(), address));
  std::string path = address.path();
  if (listen(socket.get(), kBacklog) != 0) return fail(system_error("listen", errno));
  return std::unique_ptr<Listener>(new Listener(std::move(socket), path));
}

Result<std::unique_ptr<Listener>> Listener::adopt(UniqueFd socket) {
  int is_listening = 0;
  socklen_t size = sizeof is_listening;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) != 0 || is_listening == 0)
    return fail(Errc::config_invalid, "the inherited descriptor is no listening socket");
  fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
  fcntl(socket.get(), F_SETFL, fcntl(socket.get(), F_GETFL) | O_NONBLOCK);
  return std::unique_ptr<Listener>(new Listener(std::move(socket), {}));
}

Listener::Listener(UniqueFd socket, std::string own_path)
    : socket_(std::move(socket)), own_path_(std::move(own_path)) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&name), &length);
  address_ = format_address(name, length);
  is_unix_ = name.ss_family == AF_UNIX;
  if (is_unix_) return;
  port_ = ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(name).sin6_port
                                           : reinterpret_cast<const sockaddr_in&>(name).sin_port);
  // Accepted sockets inherit it.
  set_option(socket_.get(), IPPROTO_TCP, TCP_NODELAY);
}

Listener::~Listener() {
  watch_.reset();
  if (!own_path_.empty()) unlink(own_path_.c_str());
}

void Listener::start(EventLoop& loop, ServerMetrics& metrics, HasRoom has_room, Accepted accepted) {
  loop_ = &loop;
  metrics_ = &metrics;
  has_room_ = std::move(has_room);
  accepted_ = std::move(accepted);
  pause_.emplace(loop, "accept pause");
  watch_.emplace(loop, "accept", socket_.get(), [this](int, bool) { accept_some(); });
  watch_->want(PollWatch::kReadable);
}

void Listener::resume() {
  if (watch_) watch_->want(PollWatch::kReadable);
}

void Listener::accept_some() {
  for (int i = 0; i < kAcceptsPerWake; ++i) {
    if (!has_room_()) {
      metrics_->connection_limit.add();
      return watch_->want(0);
    }
    sockaddr_storage name{};
    socklen_t length = sizeof name;
    UniqueFd client(
        accept4(socket_.get(), reinterpret_cast<sockaddr*>(&name), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (client.is_open()) {
      accepted_(std::move(client), format_address(name, length));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      return pause_for_descriptors(errno);
    }
    // Anything else concerns that one client, who has gone.
  }
}

void Listener::pause_for_descriptors(int error) {
  metrics_->descriptor_limit.add();
  loop_->logger().warn("accepting on {} pauses: {}", address_, std::strerror(error));
  watch_->want(0);
  pause_->start(kDescriptorPause, [this] { resume(); });
}

void Listener::stop_accepting() {
  if (!watch_) return;
  accept_some();
  watch_.reset();
  pause_.reset();
  socket_.reset();
}

}  // namespace entrepot::http
