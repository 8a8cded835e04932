#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/unique_fd.h"
#include "proxy/http/tls.h"

namespace entrepot::http {

/// The way of bytes to and from one client: its socket, plain or under TLS. Never sleeps but for cold pages
/// of a file, which are the caller's to warm. Owned by its connection; loop's thread only.
class Channel {
 public:
  Channel(UniqueFd socket, std::unique_ptr<TlsSession> tls)
      : socket_(std::move(socket)), tls_(std::move(tls)) {}

  int fd() const { return socket_.get(); }
  /// nullptr: plain.
  TlsSession* tls() const { return tls_.get(); }
  /// From now on plain: for the answer to who spoke plainly.
  void drop_tls() { tls_.reset(); }

  /// As recv(2).
  ssize_t receive(char* data, size_t size);
  /// As sendmsg(2): some of these bytes, in order. `more_follows`: they may wait for what comes next.
  ssize_t send(std::span<const std::string_view> pieces, bool more_follows);
  /// As sendfile(2).
  ssize_t send_file(int file, uint64_t offset, size_t count);
  /// 0: all that was taken is with the kernel. -1 with errno, EAGAIN when the socket is full.
  int flush() { return tls_ ? tls_->flush() : 0; }
  /// Nothing more will be sent; the client may still send.
  void end_sending();
  /// The end will be a reset.
  void reset_at_close();
  void close();

 private:
  UniqueFd socket_;
  std::unique_ptr<TlsSession> tls_;
};

}  // namespace entrepot::http
