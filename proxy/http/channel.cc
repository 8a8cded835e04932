#include "proxy/http/channel.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace entrepot::http {
namespace {

constexpr size_t kMaxPieces = 8;
constexpr size_t kRecord = 16 * 1024;  // what TLS takes at once

}  // namespace

ssize_t Channel::receive(char* data, size_t size) {
  return tls_ ? tls_->receive(data, size) : recv(socket_.get(), data, size, MSG_DONTWAIT);
}

ssize_t Channel::send(std::span<const std::string_view> pieces, bool more_follows) {
  if (!tls_) {
    std::array<iovec, kMaxPieces> parts;
    msghdr message{};
    message.msg_iov = parts.data();
    for (std::string_view piece : pieces.first(std::min(pieces.size(), kMaxPieces)))
      if (!piece.empty()) parts[message.msg_iovlen++] = {const_cast<char*>(piece.data()), piece.size()};
    return sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT | (more_follows ? MSG_MORE : 0));
  }
  // One record for all that fits into one.
  std::array<char, kRecord> record;
  size_t size = 0;
  for (std::string_view piece : pieces) {
    if (size == 0 && piece.size() >= record.size()) return tls_->send(piece.data(), piece.size());
    size += piece.copy(record.data() + size, record.size() - size);
  }
  return tls_->send(record.data(), size);
}

ssize_t Channel::send_file(int file, uint64_t offset, size_t count) {
  auto at = static_cast<off_t>(offset);
  if (!tls_) return sendfile(socket_.get(), file, &at, count);
  if (tls_->flush() != 0) return -1;
  std::array<char, kRecord> record;
  ssize_t got = pread(file, record.data(), std::min(count, record.size()), at);
  return got <= 0 ? got : tls_->send(record.data(), static_cast<size_t>(got));
}

void Channel::end_sending() {
  if (tls_) tls_->end_sending();
  shutdown(socket_.get(), SHUT_WR);
}

void Channel::reset_at_close() {
  linger reset{1, 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

void Channel::close() {
  tls_.reset();
  socket_.reset();
}

}  // namespace entrepot::http
