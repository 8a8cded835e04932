#include "upstream/ca_store.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <memory>
#include <mutex>

#include "base/check.h"

namespace entrepot::upstream {
namespace {

X509_STORE* make_store() {
  X509_STORE* store = X509_STORE_new();
  CHECK(store != nullptr);
  // As curl does it: a listed certificate is trusted also when it is not self-signed.
  X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
  return store;
}

// OpenSSL looks an algorithm up when it is first used, which takes milliseconds for a whole handshake: better
// here than on the loop that makes the first connection.
void look_up_algorithms() {
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl(context ? SSL_new(context.get()) : nullptr, SSL_free);
  if (!ssl) return;
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_connect(ssl.get());  // as far as the ClientHello
  ERR_clear_error();
}

}  // namespace

Result<std::shared_ptr<const CaStore>> CaStore::load(const std::string& file) {
  static std::once_flag once;
  std::call_once(once, look_up_algorithms);
  std::shared_ptr<const CaStore> store(new CaStore(make_store()));
  ERR_clear_error();
  if (X509_STORE_load_file(static_cast<X509_STORE*>(store->store_), file.c_str()) != 1) {
    ERR_clear_error();
    return fail(Errc::config_invalid, "'" + file + "' can't be read or holds no PEM certificate");
  }
  return store;
}

std::shared_ptr<const CaStore> CaStore::empty() {
  return std::shared_ptr<const CaStore>(new CaStore(make_store()));
}

CaStore::~CaStore() { X509_STORE_free(static_cast<X509_STORE*>(store_)); }

void CaStore::use_in(void* ssl_context) const {
  SSL_CTX_set1_cert_store(static_cast<SSL_CTX*>(ssl_context), static_cast<X509_STORE*>(store_));
}

}  // namespace entrepot::upstream
