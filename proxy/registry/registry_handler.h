#pragma once

#include "proxy/http/exchange.h"
#include "proxy/pull/addressing.h"
#include "proxy/pull/puller.h"
#include "proxy/registry/blob_requests.h"
#include "proxy/registry/hot_answers.h"
#include "proxy/registry/listing_requests.h"
#include "proxy/registry/manifest_requests.h"
#include "proxy/registry/route.h"

namespace entrepot::registry {

/// The pull side of the OCI distribution-spec on the data listener. One per loop. A hit is answered before
/// `handle` returns, from the hot answers; everything else becomes a flow.
class RegistryHandler final : public http::Handler {
 public:
  RegistryHandler(const pull::Addressing& addressing, pull::Puller& puller, BlobRequests::Options options);
  void handle(std::shared_ptr<http::Exchange> exchange) override;
  /// `digest` is about to leave the cache: lets go of its bytes and descriptors.
  void forget(const Digest& digest) { hot_.forget(digest, puller_.context().loop.clock().monotonic()); }
  /// Tags may have moved: no answer to one is given again unasked.
  void forget_tags() { hot_.forget_tags(); }
  /// Something was purged: nothing is given without looking into the index.
  void forget_all() { hot_.forget_all(); }

 private:
  bool answer_hot(const std::shared_ptr<http::Exchange>& shared);
  void touch(HotAnswer& answer, MonotonicTime now);
  Status dispatch_listing(const std::shared_ptr<http::Exchange>& exchange, pull::Addressing::Target target,
                          const Route& route);
  Status dispatch(const std::shared_ptr<http::Exchange>& exchange, const Route& route);

  const pull::Addressing& addressing_;
  pull::Puller& puller_;
  HotAnswers hot_;
  ManifestRequests manifests_;
  BlobRequests blobs_;
  ListingRequests listings_;
  std::shared_ptr<const http::CannedAnswer> ping_;
};

}  // namespace entrepot::registry
