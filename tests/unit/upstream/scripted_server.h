#pragma once

#include <openssl/ssl.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace entrepot::upstream::testing {

struct SeenRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case

  std::string header(const std::string& name) const;
};

/// One accepted connection, as a handler sees it: it sends the bytes it wants to.
class Connection {
 public:
  Connection(int fd, SSL* ssl) : fd_(fd), ssl_(ssl) {}
  /// False when the peer has gone.
  bool send(std::string_view bytes);
  /// FIN after what was sent.
  void close() { is_closed_ = true; }
  /// RST.
  void reset();

 private:
  friend class ScriptedServer;
  bool read_head(std::string& pending, std::string& head);

  int fd_;
  SSL* ssl_;
  bool is_closed_ = false;
};

/// A server on 127.0.0.1 that answers each request with the raw bytes its handler sends, and records what it
/// saw. One thread for each connection. With a certificate and key it speaks TLS.
class ScriptedServer {
 public:
  using Handler = std::function<void(const SeenRequest&, Connection&)>;

  explicit ScriptedServer(Handler handler) : ScriptedServer(std::move(handler), "", "") {}
  ScriptedServer(Handler handler, const std::string& certificate, const std::string& key);
  ~ScriptedServer();

  uint16_t port() const { return port_; }
  std::string authority() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string url() const { return (context_ ? "https://" : "http://") + authority(); }

  std::vector<SeenRequest> requests() const;
  size_t connections() const;
  /// Waits until so many requests were seen or connections ended; false after 20 s.
  bool wait_for_requests(size_t count) const;
  bool wait_for_closed(size_t count) const;
  /// Lets handlers that are in `wait_for_stop` go on; the destructor does it too.
  void stop();
  void wait_for_stop() const;

 private:
  void accept_all();
  void serve(int fd);
  void serve_requests(Connection& connection);

  Handler handler_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  int listener_ = -1;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<SeenRequest> requests_;
  std::vector<int> open_;
  size_t accepted_ = 0;
  size_t closed_ = 0;
  bool is_stopped_ = false;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

/// "HTTP/1.1 <status>", the header lines (each with CR LF), Content-Length and the body.
std::string response(int status, std::string_view header_lines, std::string_view body);

}  // namespace entrepot::upstream::testing
