#include "upstream/ca_store.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

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

}  // namespace

Result<std::shared_ptr<const CaStore>> CaStore::load(const std::string& file) {
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
