#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace entrepot::upstream {

/// Certificates that servers must chain to, loaded once (20 ms) and shared by every TLS context of every
/// loop: otherwise curl reads the bundle for each connection, on the loop. Immutable; any thread.
class CaStore {
 public:
  /// BLOCKING. The certificates of a PEM file; config_invalid when it can't be read or holds none.
  static Result<std::shared_ptr<const CaStore>> load(const std::string& file);
  /// Trusts nobody.
  static std::shared_ptr<const CaStore> empty();
  ~CaStore();

  /// `ssl_context` is an SSL_CTX*; it takes a reference to the store.
  void use_in(void* ssl_context) const;

 private:
  explicit CaStore(void* store) : store_(store) {}
  void* store_;  // X509_STORE
};

}  // namespace entrepot::upstream
