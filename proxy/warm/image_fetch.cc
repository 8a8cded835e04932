#include "proxy/warm/image_fetch.h"

#include <utility>

#include "base/disk/run_on_disk.h"
#include "proxy/pull/manifest_document.h"

namespace entrepot::warm {
namespace {

bool was_fetched(pull::Outcome outcome) {
  return outcome == pull::Outcome::miss || outcome == pull::Outcome::collapsed;
}

}  // namespace

Task<Result<FetchedImage>> ImageFetch::fetch(std::string tag) {
  pull::TagRequest request{repository_, std::move(tag), {}};
  Result<pull::ResolvedTag> resolved = co_await puller_.tags().resolve(std::move(request));
  if (!resolved) co_return fail(std::move(resolved).error());
  // What it was before is no answer: this is about what it is now.
  if (pull::is_stale(resolved->outcome))
    co_return fail(
        resolved->outcome == pull::Outcome::limited ? Errc::upstream_rate_limited : Errc::upstream_failed,
        "the upstream does not say what the tag is now");
  if (resolved->has_brought_manifest) ++image_.fetched;
  seen_.insert(resolved->digest);
  manifests_.push_back(resolved->digest);
  while (!manifests_.empty() || !blobs_.empty()) {
    // Manifests first: they are what tells a tag apart from one that names nothing.
    bool is_manifest = !manifests_.empty();
    std::deque<Digest>& next = is_manifest ? manifests_ : blobs_;
    Digest digest = next.front();
    next.pop_front();
    Task<Status> taking = is_manifest ? take_manifest(digest) : take_blob(digest);
    Status taken = co_await std::move(taking);
    if (!taken) co_return fail(std::move(taken).error());
  }
  co_return image_;
}

Task<Status> ImageFetch::take_manifest(Digest digest) {
  if (++asked_manifests_ > kMaxManifests)
    co_return fail(Errc::upstream_failed, "more than " + std::to_string(kMaxManifests) + " manifests");
  Result<pull::PulledManifest> pulled = co_await puller_.manifests().get(repository_, digest);
  if (!pulled) co_return skip_missing(pulled.error());
  ++image_.manifests;
  if (was_fetched(pulled->outcome)) ++image_.fetched;
  auto read = [manifest = pulled->manifest]() -> Result<pull::ManifestDocument> {
    ENTREPOT_TRY_ASSIGN(std::string bytes, pull::read_bytes(*manifest));
    return pull::read_manifest(bytes, manifest->media_type);
  };
  const pull::Context& context = puller_.context();
  Result<pull::ManifestDocument> document =
      co_await run_on_disk(context.look_ups, context.loop, "read manifest", std::move(read));
  if (!document) co_return fail(std::move(document).error());
  std::deque<Digest>& children = document->is_index ? manifests_ : blobs_;
  for (const cache::Descriptor& child : document->children)
    if (seen_.size() <= kMaxParts && seen_.insert(child.digest).second) children.push_back(child.digest);
  if (seen_.size() > kMaxParts)
    co_return fail(Errc::upstream_failed, "more than " + std::to_string(kMaxParts) + " manifests and blobs");
  co_return Status();
}

Task<Status> ImageFetch::take_blob(Digest digest) {
  Result<pull::OpenBlob> blob = co_await puller_.blobs().open(repository_, digest);
  if (!blob) co_return skip_missing(blob.error());
  if (blob->bypass != nullptr) co_return fail(Errc::disk_full, "the cache cannot hold all of it");
  ++image_.blobs;
  if (!blob->fill) co_return Status();
  Result<uint64_t> size = co_await blob->fill->wait_verified();
  if (!size) co_return fail(std::move(size).error());
  ++image_.fetched;
  image_.bytes += *size;
  co_return Status();
}

// An index may name platforms that its registry does not hold (sparse ones).
Status ImageFetch::skip_missing(const Error& error) {
  bool is_missing = error.code == Errc::manifest_unknown || error.code == Errc::blob_unknown;
  if (!is_missing || image_.manifests == 0) return fail(error);
  ++image_.missing;
  return {};
}

}  // namespace entrepot::warm
