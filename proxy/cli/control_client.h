#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace entrepot::cli {

/// The daemon's control socket, from outside. BLOCKING. `control_client.cc` is the only file here that sees
/// libcurl.
class ControlClient {
 public:
  /// nullopt: nobody listens there.
  static std::optional<ControlClient> connect(const std::string& socket);

  /// POST of /api/v1/verbs/<verb>. Errors: what the daemon says; upstream_unreachable when it does not
  /// answer.
  Result<std::string> call(const std::string& verb, const std::string& request) const;

 private:
  explicit ControlClient(std::string socket) : socket_(std::move(socket)) {}
  const std::string socket_;
};

}  // namespace entrepot::cli
