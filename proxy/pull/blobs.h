#pragma once

#include <optional>

#include "proxy/pull/bypass.h"
#include "proxy/pull/fill_reader.h"

namespace entrepot::pull {

class Puller;

/// A blob to answer with: a complete file, a fill to follow, or a stream past the cache.
struct OpenBlob {
  SharedFd file;
  std::optional<uint64_t> size;
  std::optional<FillReader> fill;  // set: read where it says
  std::unique_ptr<Bypass> bypass;  // set: there is no file
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
  /// Past the cache from the start, for who has found out that it can't be stored.
  Task<Result<OpenBlob>> go_past_cache(Source source);
  /// For a follower whose fill can't store more (Fill::is_store_failure): the rest, past the cache.
  Task<Result<std::unique_ptr<Bypass>>> go_on(cache::Repository repository, Digest digest,
                                              Remainder remainder, Bypass::Given given);
  /// What a HEAD tells. Starts no fill: an uncached blob's size comes from the manifest that names it, else
  /// from the head of the upstream's answer.
  Task<Result<BlobHead>> head(cache::Repository repository, Digest digest);

 private:
  struct LookUp {
    std::optional<cache::FoundBlob> blob;
    std::optional<cache::Descriptor> link;
  };
  /// An error: the index cannot tell, or the disk does not answer.
  Task<Result<LookUp>> look_up(cache::Repository repository, Digest digest);
  Task<Result<bool>> prove(cache::FoundBlob blob, Digest digest);
  Task<Result<OpenBlob>> join(Source source);
  /// What is not here is nowhere, when nobody may be asked for it.
  Status may_be_fetched(const cache::Repository& repository, const Digest& digest) const;

  Context& context_;
  Puller& puller_;
};

}  // namespace entrepot::pull
