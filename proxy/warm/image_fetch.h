#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "proxy/pull/puller.h"

namespace entrepot::warm {

/// What fetching an image came to.
struct FetchedImage {
  size_t manifests = 0;
  size_t blobs = 0;
  size_t missing = 0;  // named by an index or a manifest, and not there upstream
  size_t fetched = 0;  // of all of these: what the cache did not hold
  uint64_t bytes = 0;  // of fetched blobs
};

/// Brings a whole image into the cache, as a client would that pulls each of its platforms: the tag, the
/// manifests it names, and their blobs, one after the other. What is there is not fetched again. One use; on
/// the puller's loop; outlives its flow.
class ImageFetch {
 public:
  /// An index of indexes could go on for ever.
  static constexpr size_t kMaxManifests = 1000;
  static constexpr size_t kMaxParts = 20'000;  // manifests and blobs, those that are missing as well

  ImageFetch(pull::Puller& puller, cache::Repository repository)
      : puller_(puller), repository_(std::move(repository)) {}

  /// Errors: of the pull path, for a tag that could not be asked for and whatever cannot be had but is not
  /// missing; upstream_failed for too many manifests or parts; disk_full for a blob that the cache can't
  /// hold.
  Task<Result<FetchedImage>> fetch(std::string tag);

 private:
  Task<Status> take_manifest(Digest digest);
  Task<Status> take_blob(Digest digest);
  Status skip_missing(const Error& error);

  pull::Puller& puller_;
  const cache::Repository repository_;
  FetchedImage image_;
  size_t asked_manifests_ = 0;
  std::deque<Digest> manifests_;  // still to be fetched
  std::deque<Digest> blobs_;
  std::set<Digest> seen_;
};

}  // namespace entrepot::warm
