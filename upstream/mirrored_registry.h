#pragma once

#include <vector>

#include "upstream/origin_client.h"
#include "upstream/registry.h"
#include "upstream/upstream.h"

namespace entrepot::upstream {

/// The Registry over an upstream's origins: which of them is asked, and which is asked next. One per upstream
/// and loop; loop's thread only.
///
/// Origins are tried in order. The url's "no" is the upstream's; a mirror's is nobody's: it may lag behind,
/// and is asked without our credential. When no origin has answered, the url's error is given.
class MirroredRegistry final : public Registry {
 public:
  /// `clients[i]` asks `upstream.origins[i]`, and outlives this.
  MirroredRegistry(const Upstream& upstream, std::vector<OriginClient*> clients);

  const Settings& settings() const override { return upstream_.settings; }
  size_t origins() const override { return clients_.size(); }
  Task<Result<ManifestHead>> head_manifest(std::string repository, Reference reference) override;
  Task<Result<ManifestBody>> get_manifest(std::string repository, Reference reference,
                                          size_t origin) override;
  Task<Result<BlobHead>> head_blob(std::string repository, Digest digest) override;
  Task<Result<std::unique_ptr<BlobBody>>> get_blob(BlobRequest request) override;
  Task<Result<ListingPage>> list(ListingRequest request) override;

 private:
  OriginClient& client(size_t origin) const;

  const Upstream& upstream_;
  const std::vector<OriginClient*> clients_;
};

}  // namespace entrepot::upstream
