#pragma once

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/result.h"

// TLS on a listener: TLS 1.2 and 1.3, ALPN "http/1.1" (RFC 7301), no renegotiation, no early data, session
// tickets. OpenSSL is seen by tls.cc alone.

struct ssl_st;
struct ssl_ctx_st;

namespace entrepot::http {

/// One connection's TLS. Reads and writes the socket that somebody else owns, which must not block; loop's
/// thread only.
class TlsSession {
 public:
  enum class Handshake {
    done,
    wants_read,   // call again when the socket is readable
    wants_write,  // … writable
    plain_http,   // the client speaks HTTP without TLS
    failed,       // an alert is out, where there is one for it
  };

  TlsSession(std::shared_ptr<ssl_ctx_st> context, int socket);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  Handshake shake_hands();
  /// Why it failed, in OpenSSL's words.
  const std::string& failure() const { return failure_; }

  /// As recv(2): bytes, 0 at the end of what the client sends, -1 with errno.
  ssize_t receive(char* data, size_t size);
  /// As send(2), of at most one record (16 KiB). What was taken may wait here for the socket: see `flush`.
  ssize_t send(const char* data, size_t size);
  /// 0: nothing waits here. -1 with errno, EAGAIN when the socket is full.
  int flush();
  /// Says that nothing more will be sent (close_notify).
  void end_sending();

 private:
  int write_some(const char* data, size_t size);

  const std::shared_ptr<ssl_ctx_st> context_;
  ssl_st* ssl_ = nullptr;
  std::string waiting_;  // a record that the socket has not taken whole
  std::string failure_;
};

/// The certificate of a listener, replaced while it serves: connections that are there keep theirs. Any
/// thread.
class TlsKeys {
 public:
  /// BLOCKING. Reads a PEM certificate chain and its private key. config_invalid: which file, and why.
  static Result<std::shared_ptr<TlsKeys>> load(const std::string& certificate, const std::string& key);
  /// BLOCKING. The same again; after an error the old pair stays.
  Status reload(const std::string& certificate, const std::string& key);

  std::unique_ptr<TlsSession> session(int socket) const;
  /// When the certificate ends to be good.
  WallTime not_after() const;

 private:
  struct Pair {
    std::shared_ptr<ssl_ctx_st> context;
    WallTime not_after;
  };
  static Result<Pair> read(const std::string& certificate, const std::string& key);
  Pair pair() const;

  mutable std::mutex mutex_;  // held to copy two values
  Pair pair_;
};

}  // namespace entrepot::http
