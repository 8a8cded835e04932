#include "upstream/client_identity.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <utility>

#include "upstream/small_file.h"

namespace entrepot::upstream {
namespace {

constexpr size_t kMaxFile = 1024 * 1024;

// Asked for the passphrase of an encrypted key, which nobody can give.
int no_passphrase(char*, int, int, void*) { return -1; }

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Bio over(std::string_view pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free};
}

}  // namespace

Result<std::shared_ptr<const ClientIdentity>> ClientIdentity::load(const std::string& certificate_file,
                                                                   const std::string& key_file) {
  ENTREPOT_TRY_ASSIGN(Secret certificate_pem, read_small_file(certificate_file, kMaxFile));
  ENTREPOT_TRY_ASSIGN(Secret key_pem, read_small_file(key_file, kMaxFile));
  Certificate certificate(
      PEM_read_bio_X509(over(certificate_pem.reveal()).get(), nullptr, no_passphrase, nullptr), X509_free);
  Key key(PEM_read_bio_PrivateKey(over(key_pem.reveal()).get(), nullptr, no_passphrase, nullptr),
          EVP_PKEY_free);
  bool is_pair = certificate && key && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (!certificate) return fail(Errc::config_invalid, "'" + certificate_file + "' holds no PEM certificate");
  if (!key) return fail(Errc::config_invalid, "'" + key_file + "' holds no PEM key without a passphrase");
  if (!is_pair)
    return fail(Errc::config_invalid, "'" + key_file + "' is not the key of '" + certificate_file + "'");
  return std::make_shared<const ClientIdentity>(
      ClientIdentity{std::string(certificate_pem.reveal()), std::move(key_pem)});
}

}  // namespace entrepot::upstream
