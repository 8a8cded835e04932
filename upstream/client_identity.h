#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/secret.h"

namespace entrepot::upstream {

/// Who we are to a registry that asks for a client certificate (TLS client authentication): both in PEM, the
/// certificate with its chain. Immutable; any thread.
struct ClientIdentity {
  std::string certificate;
  Secret key;

  /// BLOCKING. config_invalid, not quoting them, for files that can't be read, are larger than 1 MiB, hold no
  /// such thing (an encrypted key is none), or do not belong together.
  static Result<std::shared_ptr<const ClientIdentity>> load(const std::string& certificate_file,
                                                            const std::string& key_file);
};

}  // namespace entrepot::upstream
