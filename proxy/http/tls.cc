#include "proxy/http/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <new>
#include <string_view>

namespace entrepot::http {
namespace {

constexpr size_t kRecord = 16 * 1024;
constexpr char kCiphersOfTls12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

// The innermost reason, and nothing of the files' contents.
std::string reason() {
  unsigned long code = ERR_peek_error();
  ERR_clear_error();
  if (code == 0) return "unknown reason";
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* text = ERR_reason_error_string(code);
  return text != nullptr ? text : "unknown reason";
}

Error bad_file(const std::string& path) { return Error{Errc::config_invalid, path + ": " + reason()}; }

// RFC 7301 section 3.2: who names protocols and not ours is refused.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* length, const unsigned char* offered,
                    unsigned int size, void*) {
  static constexpr std::string_view kHttp = "http/1.1";
  for (unsigned int at = 0; at < size;) {
    unsigned int count = offered[at++];
    if (count > size - at) break;
    std::string_view name(reinterpret_cast<const char*>(offered + at), count);
    if (name == kHttp) {
      *chosen = offered + at;
      *length = static_cast<unsigned char>(count);
      return SSL_TLSEXT_ERR_OK;
    }
    at += count;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

WallTime end_of(const X509* certificate) {
  std::tm end{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) return {};
  return WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::seconds(timegm(&end))));
}

}  // namespace

Result<std::shared_ptr<TlsKeys>> TlsKeys::load(const std::string& certificate, const std::string& key) {
  auto keys = std::make_shared<TlsKeys>();
  ENTREPOT_TRY(keys->reload(certificate, key));
  return keys;
}

Status TlsKeys::reload(const std::string& certificate, const std::string& key) {
  ENTREPOT_TRY_ASSIGN(Pair pair, read(certificate, key));
  std::lock_guard lock(mutex_);
  pair_ = std::move(pair);
  return {};
}

Result<TlsKeys::Pair> TlsKeys::read(const std::string& certificate, const std::string& key) {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) throw std::bad_alloc();
  SSL_CTX* raw = context.get();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(raw, kCiphersOfTls12);
  SSL_CTX_set_options(raw,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Tickets alone: they are good on every loop, and nothing is kept for those who do not come back.
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_select_cb(raw, choose_protocol, nullptr);
  // A key with a pass phrase is an error, and no question on the terminal.
  SSL_CTX_set_default_passwd_cb(raw, [](char*, int, int, void*) { return 0; });
  if (SSL_CTX_use_certificate_chain_file(raw, certificate.c_str()) != 1) return fail(bad_file(certificate));
  if (SSL_CTX_use_PrivateKey_file(raw, key.c_str(), SSL_FILETYPE_PEM) != 1) return fail(bad_file(key));
  if (SSL_CTX_check_private_key(raw) != 1)
    return fail(Errc::config_invalid, key + " is not the private key of " + certificate);
  return Pair{context, end_of(SSL_CTX_get0_certificate(raw))};
}

TlsKeys::Pair TlsKeys::pair() const {
  std::lock_guard lock(mutex_);
  return pair_;
}

std::unique_ptr<TlsSession> TlsKeys::session(int socket) const {
  return std::make_unique<TlsSession>(pair().context, socket);
}

WallTime TlsKeys::not_after() const { return pair().not_after; }

TlsSession::TlsSession(std::shared_ptr<ssl_ctx_st> context, int socket)
    : context_(std::move(context)), ssl_(SSL_new(context_.get())) {
  if (ssl_ == nullptr || SSL_set_fd(ssl_, socket) != 1) throw std::bad_alloc();
  SSL_set_accept_state(ssl_);
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

TlsSession::Handshake TlsSession::shake_hands() {
  ERR_clear_error();
  int result = SSL_do_handshake(ssl_);
  if (result == 1) return Handshake::done;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return Handshake::wants_read;
    case SSL_ERROR_WANT_WRITE:
      return Handshake::wants_write;
    case SSL_ERROR_SYSCALL:
      failure_ = "the connection broke";
      return Handshake::failed;
    default:
      break;
  }
  bool is_plain =
      ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SSL && ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
  failure_ = reason();
  return is_plain ? Handshake::plain_http : Handshake::failed;
}

ssize_t TlsSession::receive(char* data, size_t size) {
  ERR_clear_error();
  size_t got = 0;
  int result = SSL_read_ex(ssl_, data, size, &got);
  if (result == 1) return static_cast<ssize_t>(got);
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      errno = EAGAIN;
      return -1;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    default:
      ERR_clear_error();
      errno = ECONNRESET;
      return -1;
  }
}

// 1: taken. 0: the socket is full, and the same is to be written again. -1: broken.
int TlsSession::write_some(const char* data, size_t size) {
  ERR_clear_error();
  size_t written = 0;
  int result = SSL_write_ex(ssl_, data, size, &written);
  if (result == 1) return 1;
  int why = SSL_get_error(ssl_, result);
  if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ) return 0;
  ERR_clear_error();
  errno = ECONNRESET;
  return -1;
}

ssize_t TlsSession::send(const char* data, size_t size) {
  if (flush() != 0) return -1;
  size = std::min(size, kRecord);
  int result = write_some(data, size);
  if (result < 0) return -1;
  if (result == 0) waiting_.assign(data, size);
  return static_cast<ssize_t>(size);
}

int TlsSession::flush() {
  if (waiting_.empty()) return 0;
  int result = write_some(waiting_.data(), waiting_.size());
  if (result < 0) return -1;
  if (result == 0) {
    errno = EAGAIN;
    return -1;
  }
  waiting_ = std::string();
  return 0;
}

void TlsSession::end_sending() {
  ERR_clear_error();
  if (waiting_.empty() && SSL_is_init_finished(ssl_)) SSL_shutdown(ssl_);
  ERR_clear_error();
}

}  // namespace entrepot::http
