#pragma once

#include <memory>
#include <string>

#include "base/digest.h"
#include "base/reference.h"
#include "base/result.h"
#include "base/task/task.h"
#include "upstream/registry.h"

namespace entrepot::upstream {

/// The pull side of the distribution-spec at one origin; errors as Registry's. One per origin and loop,
/// loop's thread only.
class OriginClient {
 public:
  virtual ~OriginClient() = default;
  virtual Task<Result<ManifestHead>> head_manifest(std::string repository, Reference reference) = 0;
  virtual Task<Result<ManifestBody>> get_manifest(std::string repository, Reference reference) = 0;
  virtual Task<Result<BlobHead>> head_blob(std::string repository, Digest digest) = 0;
  /// `request.origin` says nothing here.
  virtual Task<Result<std::unique_ptr<BlobBody>>> get_blob(BlobRequest request) = 0;
  virtual Task<Result<ListingPage>> list(ListingRequest request) = 0;
};

}  // namespace entrepot::upstream
