#pragma once

#include <optional>

#include "proxy/pull/fill_reader.h"

namespace entrepot::pull {

class Puller;

/// A blob to answer with: a complete file, or a fill to follow.
struct OpenBlob {
  SharedFd file;
  std::optional<uint64_t> size;
  std::optional<FillReader> fill;  // set: read where it says
  Outcome outcome = Outcome::hit;
};

struct BlobHead {
  uint64_t size = 0;
  Outcome outcome = Outcome::hit;
};

/// Blobs by digest, for the requests of one loop: from the cache, else by a fill at the digest's home.
class Blobs {
 public:
  Blobs(Context& context, Puller& puller) : context_(context), puller_(puller) {}

  Task<Result<OpenBlob>> open(cache::Repository repository, Digest digest);
  /// What a HEAD tells. Starts no fill: an uncached blob's size comes from the manifest that names it, else
  /// from the head of the upstream's answer.
  Task<Result<BlobHead>> head(cache::Repository repository, Digest digest);

 private:
  struct LookUp {
    std::optional<cache::FoundBlob> blob;
    std::optional<cache::Descriptor> link;
  };
  Task<LookUp> look_up(cache::Repository repository, Digest digest);
  Task<Result<OpenBlob>> join(Source source);

  Context& context_;
  Puller& puller_;
};

}  // namespace entrepot::pull
