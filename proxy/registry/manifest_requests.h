#pragma once

#include <memory>

#include "base/reference.h"
#include "proxy/http/exchange.h"
#include "proxy/pull/addressing.h"
#include "proxy/pull/puller.h"
#include "proxy/registry/hot_answers.h"

namespace entrepot::registry {

/// GET and HEAD of /v2/<name>/manifests/<reference> (end-3) that the hot answers could not serve. One per
/// loop.
class ManifestRequests {
 public:
  ManifestRequests(pull::Puller& puller, HotAnswers& hot) : puller_(puller), hot_(hot) {}

  /// A flow; ends when the answer has been handed to the connection.
  Task<void> answer(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target,
                    Reference reference);

 private:
  Task<Result<pull::ResolvedTag>> resolve(const http::Exchange& exchange,
                                          const pull::Addressing::Target& target, const Reference& reference);
  void send(http::Exchange& exchange, const pull::Addressing::Target& target, const Reference& reference,
            const pull::ResolvedTag& resolved, const pull::PulledManifest& pulled, bool may_be_kept);
  void keep_hot(http::Exchange& exchange, const pull::Addressing::Target& target, const Reference& reference,
                const pull::ResolvedTag& resolved, const std::shared_ptr<const pull::Manifest>& pulled);

  pull::Puller& puller_;
  HotAnswers& hot_;
};

}  // namespace entrepot::registry
