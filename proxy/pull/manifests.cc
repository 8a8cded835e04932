#include "proxy/pull/manifests.h"

#include <algorithm>
#include <utility>

#include "base/disk/run_on_disk.h"
#include "base/loop/call_on.h"
#include "cache/part.h"
#include "proxy/pull/commit.h"
#include "proxy/pull/puller.h"

namespace entrepot::pull {
namespace {

std::string key_of(const cache::Repository& repository, const Digest& digest) {
  return repository.upstream + '/' + repository.name + '@' + digest.text();
}

Result<std::shared_ptr<const Manifest>> check_manifest(const cache::Repository& repository,
                                                       const Digest& digest, upstream::ManifestBody body) {
  if (Digest::of(digest.algorithm(), body.bytes) != digest)
    return fail(Errc::digest_mismatch, "the upstream's bytes are not manifest " + key_of(repository, digest));
  ENTREPOT_TRY_ASSIGN(ManifestDocument document, read_manifest(body.bytes, body.media_type));
  return std::make_shared<const Manifest>(
      Manifest{digest, std::move(document.media_type), std::move(body.bytes), std::move(document.children)});
}

}  // namespace

Task<Result<PulledManifest>> Manifests::get(cache::Repository repository, Digest digest) {
  auto look = [&cache = context_.cache, repository, digest] {
    return cache.find_manifest(repository, digest);
  };
  Result<std::optional<cache::FoundManifest>> found =
      co_await run_on_disk(context_.look_ups, context_.loop, "find manifest", std::move(look));
  if (!found) context_.logger.error("looking up {} failed: {}", digest.text(), found.error().message);
  if (found && *found) {
    cache::FoundManifest& manifest = **found;
    auto shared = std::make_shared<const Manifest>(
        Manifest{digest, std::move(manifest.media_type), std::move(manifest.bytes), {}});
    co_return PulledManifest{std::move(shared), Outcome::hit};
  }
  EventLoop& home = puller_.home_of(digest);
  Manifests& there = puller_.at(home).manifests();
  auto ask = [&there, repository, digest] { return there.fetch_once(repository, digest); };
  co_return co_await call_on<Result<PulledManifest>>(home, context_.loop, std::move(ask));
}

Task<Result<PulledManifest>> Manifests::fetch_once(cache::Repository repository, Digest digest) {
  Key key = key_of(repository, digest);
  auto [entry, is_new] = fetches_.try_emplace(key, Fetch{digest, nullptr, {}});
  Fetch& running = entry->second;
  if (running.manifest) co_return PulledManifest{running.manifest, Outcome::hit};
  Completion<Result<PulledManifest>> done;
  running.waiters.push_back(&done);
  if (is_new) context_.loop.spawn(run(key, repository, digest));
  Result<PulledManifest> result = co_await done;
  if (result && !is_new) result->outcome = Outcome::collapsed;
  co_return std::move(result);
}

bool Manifests::is_fetching(const Digest& digest) const {
  return std::ranges::any_of(fetches_,
                             [&digest](const auto& entry) { return entry.second.digest == digest; });
}

Task<void> Manifests::run(Key key, cache::Repository repository, Digest digest) {
  Result<std::shared_ptr<const Manifest>> fetched = co_await fetch(repository, digest);
  if (!fetched) {
    tell(key, fail(fetched.error()));
    fetches_.erase(key);
    co_return;
  }
  fetches_.at(key).manifest = *fetched;
  const std::vector<cache::Descriptor>& children = (*fetched)->children;
  expect_children(repository, children, true);
  tell(key, PulledManifest{*fetched, Outcome::miss});
  // The client has his answer; what fails now only means that it is fetched again next time.
  std::shared_ptr<const Manifest> manifest = *fetched;
  Status stored = co_await store(repository, manifest);
  if (!stored) context_.logger.error("could not store manifest {}: {}", key, stored.error().message);
  expect_children(repository, children, false);
  fetches_.erase(key);
}

Task<Result<std::shared_ptr<const Manifest>>> Manifests::fetch(cache::Repository repository, Digest digest) {
  upstream::Registry* registry = context_.upstreams.find(repository.upstream);
  if (registry == nullptr) co_return fail(Errc::name_unknown, "no such upstream: " + repository.upstream);
  Reference reference = digest;
  Result<upstream::ManifestBody> body = co_await registry->get_manifest(repository.name, reference);
  if (!body) co_return fail(body.error());
  // Up to 4 MiB to hash and to parse: not on the loop.
  auto check = [repository, digest, body = std::move(*body)]() mutable {
    return check_manifest(repository, digest, std::move(body));
  };
  co_return co_await run_on_disk(context_.look_ups, context_.loop, "check manifest", std::move(check));
}

// A client asks for the blobs as soon as it has the manifest: their home loops learn now what the index will
// say later.
void Manifests::expect_children(const cache::Repository& repository,
                                const std::vector<cache::Descriptor>& children, bool is_pending) {
  for (const cache::Descriptor& child : children) {
    EventLoop& home = puller_.home_of(child.digest);
    Source source{
        .repository = repository, .digest = child.digest, .has_link = true, .link_size = child.size};
    home.post([&links = puller_.at(home).fills().pending_links(), source = std::move(source), is_pending] {
      if (is_pending)
        links.add(source);
      else
        links.remove(source);
    });
  }
}

Task<Status> Manifests::store(cache::Repository repository, std::shared_ptr<const Manifest> manifest) {
  Digest digest = manifest->digest;
  co_await puller_.fills().claim(digest);
  Status placed = co_await place(manifest);
  if (!placed) {
    puller_.fills().release(digest);
    co_return placed;
  }
  cache::Commit commit;
  cache::Commit::Blob blob{.digest = manifest->digest,
                           .size = manifest->bytes.size(),
                           .manifest_media_type = manifest->media_type,
                           .children = {}};
  cache::Descriptor self{.digest = manifest->digest, .size = manifest->bytes.size()};
  commit.links.push_back({.repository = repository, .object = self});
  for (const cache::Descriptor& child : manifest->children) {
    blob.children.push_back(child.digest);
    commit.links.push_back({.repository = repository, .object = child});
  }
  commit.blobs.push_back(std::move(blob));
  Status committed = co_await commit_to(context_, std::move(commit));
  puller_.fills().release(digest);
  co_return committed;
}

Task<Status> Manifests::place(std::shared_ptr<const Manifest> manifest) {
  auto write = [&cache = context_.cache, manifest]() -> Status {
    ENTREPOT_TRY_ASSIGN(bool is_there, cache.contains(manifest->digest));
    if (is_there) return {};  // another repository brought it
    ENTREPOT_TRY_ASSIGN(std::unique_ptr<cache::Part> part,
                        cache.open_part(manifest->digest, manifest->bytes.size()));
    Status status = part->append(manifest->bytes);
    if (status) status = part->verify();
    if (status) status = part->place();
    if (!status) part->discard();
    return status;
  };
  co_return co_await run_on_disk(context_.disk, context_.loop, "store manifest", std::move(write));
}

void Manifests::tell(Key key, Result<PulledManifest> result) {
  std::vector<Completion<Result<PulledManifest>>*> waiters = std::exchange(fetches_.at(key).waiters, {});
  for (Completion<Result<PulledManifest>>* waiter : waiters) waiter->complete(result);
}

}  // namespace entrepot::pull
