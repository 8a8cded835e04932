#pragma once

#include <memory>
#include <string_view>

#include "base/digest.h"

struct evp_md_ctx_st;

namespace entrepot {

/// A running SHA-256 or SHA-512 (OpenSSL's EVP). Owned by one job at a time; movable between threads, not
/// shared.
class Hasher {
 public:
  explicit Hasher(DigestAlgorithm algorithm);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  void update(std::string_view bytes);
  /// The same state once more: both go on by themselves.
  Hasher copy() const;
  /// The digest of all that was given. REQUIRES: called once, nothing after it.
  Digest finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  DigestAlgorithm algorithm_;
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace entrepot
