#include "base/hasher.h"

#include <openssl/evp.h>

#include "base/check.h"

namespace entrepot {

void Hasher::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Hasher::Hasher(DigestAlgorithm algorithm) : algorithm_(algorithm), context_(EVP_MD_CTX_new()) {
  CHECK(context_ != nullptr);
  const EVP_MD* md = algorithm == DigestAlgorithm::sha256 ? EVP_sha256() : EVP_sha512();
  CHECK(EVP_DigestInit_ex(context_.get(), md, nullptr) == 1);
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Hasher Hasher::copy() const {
  Hasher other(algorithm_);
  CHECK(EVP_MD_CTX_copy_ex(other.context_.get(), context_.get()) == 1);
  return other;
}

Digest Hasher::finish() {
  uint8_t raw[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(context_.get(), raw, &size) == 1);
  return Digest::from_raw(algorithm_, {raw, size});
}

}  // namespace entrepot
