#pragma once

#include <memory>

#include "base/reference.h"
#include "proxy/http/exchange.h"
#include "proxy/pull/puller.h"
#include "proxy/registry/addressing.h"

namespace entrepot::registry {

/// GET and HEAD of /v2/<name>/manifests/<reference> (end-3) that the hot answers could not serve. One per loop.
class ManifestRequests {
 public:
  explicit ManifestRequests(pull::Puller& puller) : puller_(puller) {}

  /// A flow; ends when the answer has been handed to the connection.
  Task<void> answer(std::shared_ptr<http::Exchange> exchange, Addressing::Target target, Reference reference);

 private:
  Task<Result<pull::ResolvedTag>> resolve(const Addressing::Target& target, const Reference& reference);
  void send(http::Exchange& exchange, const Addressing::Target& target, const Reference& reference,
            const pull::ResolvedTag& resolved, const pull::PulledManifest& pulled);
  void keep_hot(http::Exchange& exchange, const Addressing::Target& target, const Reference& reference,
                const pull::ResolvedTag& resolved, const pull::Manifest& manifest);

  pull::Puller& puller_;
};

}  // namespace entrepot::registry
