#include "proxy/pull/manifests.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/disk/run_on_disk.h"
#include "base/loop/call_on.h"
#include "base/loop/next_turn.h"
#include "base/loop/sleep.h"
#include "base/loop/timer.h"
#include "cache/part.h"
#include "proxy/pull/commit.h"
#include "proxy/pull/puller.h"
#include "proxy/pull/retry_budget.h"

namespace entrepot::pull {
namespace {

constexpr Duration kPatience{10'000};
constexpr uint64_t kMaxManifest = 4u << 20;

std::string key_of(const cache::Repository& repository, const Digest& digest) {
  return repository.upstream + '/' + repository.name + '@' + digest.text();
}

// A tag's bytes have the digest that they have.
Result<std::shared_ptr<const Manifest>> check_manifest(const cache::Repository& repository,
                                                       const Reference& reference,
                                                       upstream::ManifestBody body) {
  const Digest* wanted = std::get_if<Digest>(&reference);
  Digest digest = Digest::of(wanted ? wanted->algorithm() : DigestAlgorithm::sha256, body.bytes);
  if (wanted && digest != *wanted)
    return fail(Errc::digest_mismatch,
                "the upstream's bytes are not manifest " + key_of(repository, *wanted));
  ENTREPOT_TRY_ASSIGN(ManifestDocument document, read_manifest(body.bytes, body.media_type));
  return std::make_shared<const Manifest>(Manifest{.digest = digest,
                                                   .media_type = std::move(document.media_type),
                                                   .size = body.bytes.size(),
                                                   .bytes = std::move(body.bytes),
                                                   .file = {},
                                                   .children = std::move(document.children),
                                                   .subject = document.subject});
}

cache::Commit commit_of(const cache::Repository& repository, const Manifest& manifest) {
  cache::Commit commit;
  cache::Commit::Blob blob{.digest = manifest.digest,
                           .size = manifest.size,
                           .manifest_media_type = manifest.media_type,
                           .children = {},
                           .subject = manifest.subject};
  cache::Descriptor self{.digest = manifest.digest, .size = manifest.size};
  commit.links.push_back({.repository = repository, .object = self});
  for (const cache::Descriptor& child : manifest.children) {
    blob.children.push_back(child.digest);
    commit.links.push_back({.repository = repository, .object = child});
  }
  commit.blobs.push_back(std::move(blob));
  return commit;
}

}  // namespace

Result<std::string> read_bytes(const Manifest& manifest) {
  if (!manifest.file) return manifest.bytes;
  std::string bytes(manifest.size, '\0');
  ssize_t count = ::pread(manifest.file->get(), bytes.data(), bytes.size(), 0);
  if (count != static_cast<ssize_t>(bytes.size()))
    return fail(Errc::io_error, "the file of manifest " + manifest.digest.text() + " cannot be read");
  return bytes;
}

Task<Result<PulledManifest>> Manifests::get(cache::Repository repository, Digest digest) {
  Result<std::shared_ptr<const Manifest>> found = co_await find(repository, digest);
  if (found && *found) co_return PulledManifest{std::move(*found), Outcome::hit, true};
  EventLoop& home = puller_.home_of(digest);
  Manifests& there = puller_.at(home).manifests();
  bool is_disk_silent = !found;
  auto ask = [&there, repository, digest, is_disk_silent] {
    return there.fetch_once(repository, digest, nullptr, is_disk_silent);
  };
  co_return co_await call_on<Result<PulledManifest>>(home, context_.loop, std::move(ask));
}

Task<Result<PulledManifest>> Manifests::get_by_tag(cache::Repository repository, std::string tag) {
  Reference reference = std::move(tag);
  Result<Fetched> fetched = co_await fetch(repository, std::move(reference));
  if (!fetched) co_return fail(fetched.error());
  const Digest& digest = fetched->manifest->digest;
  EventLoop& home = puller_.home_of(digest);
  Manifests& there = puller_.at(home).manifests();
  auto keep = [&there, repository, manifest = fetched->manifest] {
    return there.fetch_once(repository, manifest->digest, manifest);
  };
  co_return co_await call_on<Result<PulledManifest>>(home, context_.loop, std::move(keep));
}

Task<bool> Manifests::has(cache::Repository repository, Digest digest) {
  Result<std::shared_ptr<const Manifest>> found = co_await find(std::move(repository), std::move(digest));
  bool is_here = found && *found != nullptr;
  co_return is_here;
}

// In the cache; nullptr when it is not. An index that cannot be read is as good as an empty one: the upstream
// still has everything.
Task<Result<std::shared_ptr<const Manifest>>> Manifests::find(cache::Repository repository, Digest digest) {
  auto look = [&cache = context_.cache, repository, digest] {
    return cache.find_manifest(repository, digest);
  };
  Result<std::optional<cache::FoundManifest>> found = co_await run_on_disk_within(
      context_.disk_patience, context_.look_ups, context_.loop, "find manifest", std::move(look));
  if (!found) {
    context_.cache.note_failure("looking up " + digest.text(), found.error());
    co_return fail(found.error());
  }
  if (!*found) co_return nullptr;
  cache::FoundManifest& manifest = **found;
  co_return std::make_shared<const Manifest>(Manifest{.digest = digest,
                                                      .media_type = std::move(manifest.media_type),
                                                      .size = manifest.size,
                                                      .bytes = std::move(manifest.bytes),
                                                      .file = std::move(manifest.file),
                                                      .children = {}});
}

Task<Result<PulledManifest>> Manifests::fetch_once(cache::Repository repository, Digest digest,
                                                   std::shared_ptr<const Manifest> given,
                                                   bool is_disk_silent) {
  Key key = key_of(repository, digest);
  auto [entry, is_new] = fetches_.try_emplace(key, Fetch{digest, nullptr, {}, {}});
  Fetch& running = entry->second;
  if (running.manifest) co_return PulledManifest{running.manifest, Outcome::hit};
  Completion<Result<PulledManifest>> done;
  running.waiters.push_back(&done);
  if (is_new) context_.loop.spawn(run(key, repository, digest, given, is_disk_silent));
  Result<PulledManifest> result = co_await done;
  // Whoever was asking already has failed where we have it.
  if (!result && !is_new && given) co_return PulledManifest{std::move(given), Outcome::miss};
  if (result && !is_new) result->outcome = Outcome::collapsed;
  co_return std::move(result);
}

bool Manifests::is_fetching(const Digest& digest) const {
  return std::ranges::any_of(fetches_,
                             [&digest](const auto& entry) { return entry.second.digest == digest; });
}

Task<void> Manifests::run(Key key, cache::Repository repository, Digest digest,
                          std::shared_ptr<const Manifest> given, bool is_disk_silent) {
  // It may have been on its way into the index while the asker looked there: what is neither in our table nor
  // in the index now is nowhere.
  std::shared_ptr<const Manifest> found;
  if (!is_disk_silent) {
    Result<std::shared_ptr<const Manifest>> again = co_await find(repository, digest);
    if (again) found = std::move(*again);
  }
  if (found) {
    tell(key, PulledManifest{std::move(found), Outcome::hit, true});
    fetches_.erase(key);
    co_return;
  }
  std::shared_ptr<const Manifest> manifest = std::move(given);
  if (!manifest && !is_disk_silent) {
    std::shared_ptr<const Manifest> placed = co_await find_placed(repository, digest);
    manifest = std::move(placed);
  }
  if (!manifest) {
    Reference reference = digest;
    Result<Fetched> fetched = co_await fetch(repository, std::move(reference));
    if (!fetched) {
      tell(key, fail(fetched.error()));
      fetches_.erase(key);
      co_return;
    }
    manifest = std::move(fetched->manifest);
    fetches_.at(key).room = std::move(fetched->room);
  }
  bool is_large = manifest->size > cache::kLargeManifest;
  co_await expect_children(manifest, repository, true);
  if (!is_large) give(key, manifest);
  // A large one is given from its file, when the disk lets it be written in time.
  Timer patience(context_.loop, "store manifest");
  if (is_large && context_.disk_patience)
    patience.start(*context_.disk_patience, [this, key, manifest] { give(key, manifest); });
  // What fails now only means that it is fetched again next time.
  bool may_be_stored = !is_disk_silent && !context_.syncs.is_stuck();
  Status stored = fail(Errc::io_error, "the disk hangs");
  if (may_be_stored) {
    Status done = co_await store(repository, manifest);
    stored = std::move(done);
  }
  if (!stored) {
    context_.cache.note_failure("storing manifest " + key, stored.error());
  }
  patience.cancel();
  if (is_large && !fetches_.at(key).manifest) {
    Result<std::shared_ptr<const Manifest>> in_file = co_await find(repository, digest);
    give(key, in_file && *in_file ? *in_file : manifest);
  }
  co_await expect_children(manifest, repository, false);
  fetches_.erase(key);
}

void Manifests::give(const Key& key, std::shared_ptr<const Manifest> manifest) {
  fetches_.at(key).manifest = manifest;
  fetches_.at(key).room = {};
  tell(key, PulledManifest{std::move(manifest), Outcome::miss});
}

// The bytes are here and the repository's, and the index does not say that they are a manifest: whoever
// placed them was killed before he could. Nobody need be asked.
Task<std::shared_ptr<const Manifest>> Manifests::find_placed(cache::Repository repository, Digest digest) {
  auto look = [&cache = context_.cache, repository, digest]() -> Result<std::shared_ptr<const Manifest>> {
    Result<std::optional<cache::FoundBlob>> found = cache.find_blob(repository, digest);
    if (!found || !*found || (*found)->size > kMaxManifest) return nullptr;
    Manifest file{.digest = digest,
                  .media_type = {},
                  .size = (*found)->size,
                  .bytes = {},
                  .file = (*found)->file,
                  .children = {}};
    Result<std::string> bytes = read_bytes(file);
    if (!bytes) return nullptr;
    Reference reference = digest;
    auto checked = check_manifest(repository, reference, {.bytes = std::move(*bytes), .media_type = {}});
    return checked ? std::move(*checked) : nullptr;
  };
  Result<std::shared_ptr<const Manifest>> placed = co_await run_on_disk_within(
      context_.disk_patience, context_.look_ups, context_.loop, "find placed manifest", std::move(look));
  co_return placed ? std::move(*placed) : nullptr;
}

Task<Result<Manifests::Fetched>> Manifests::fetch(cache::Repository repository, Reference reference) {
  upstream::Registry* registry = context_.upstreams.find(repository.upstream);
  if (registry == nullptr) co_return fail(Errc::name_unknown, "no such upstream: " + repository.upstream);
  RetryBudget budget;
  while (true) {
    Result<Fetched> fetched = co_await ask_origins(*registry, repository, reference);
    if (fetched || !upstream::is_no_answer(fetched.error())) co_return std::move(fetched);
    std::optional<Duration> wait = budget.after(fetched.error(), false);
    if (!wait) co_return std::move(fetched);
    co_await sleep_on(context_.loop, *wait);
  }
}

// Each origin once, until one has the right bytes. The url's "no" is final; a mirror's is not believed, and
// when nobody has it the error is the url's.
Task<Result<Manifests::Fetched>> Manifests::ask_origins(upstream::Registry& registry,
                                                        cache::Repository repository, Reference reference) {
  Result<Fetched> first = co_await fetch_from(registry, 0, repository, reference);
  for (size_t origin = 1; !first && origin < registry.origins(); ++origin) {
    const Error& error = first.error();
    if (error.code != Errc::digest_mismatch && !upstream::is_no_answer(error)) break;
    Result<Fetched> other = co_await fetch_from(registry, origin, repository, reference);
    if (other) co_return std::move(other);
    context_.logger.info("a mirror of {} has not helped: {}", repository.upstream, other.error().message);
  }
  co_return std::move(first);
}

Task<Result<Manifests::Fetched>> Manifests::fetch_from(upstream::Registry& registry, size_t origin,
                                                       cache::Repository repository, Reference reference) {
  std::string name = repository.name;
  Result<upstream::ManifestBody> body = co_await registry.get_manifest(std::move(name), reference, origin);
  if (!body) co_return fail(body.error());
  Slots::Slot room = std::move(body->room);
  Slots::Slot turn;
  if (body->bytes.size() > cache::kLargeManifest) {
    Slots::Slot taken = co_await large_checks_.take(kPatience);
    turn = std::move(taken);
    if (!turn) co_return fail(Errc::overloaded, "too many large manifests at once");
  }
  // Up to 4 MiB to hash and to parse: not on the loop.
  auto check = [repository, reference, body = std::move(*body)]() mutable {
    return check_manifest(repository, reference, std::move(body));
  };
  Result<std::shared_ptr<const Manifest>> checked =
      co_await run_on_disk(context_.compute, context_.loop, "check manifest", std::move(check));
  // The room is kept for a right one alone: who waits for another origin's answer must not keep others
  // waiting.
  if (!checked) co_return fail(checked.error());
  co_return Fetched{std::move(*checked), std::move(room)};
}

// A client asks for the blobs as soon as it has the manifest: their home loops learn now what the index will
// say later.
// There may be tens of thousands: some at a time, on either side.
Task<void> Manifests::expect_children(std::shared_ptr<const Manifest> manifest, cache::Repository repository,
                                      bool is_pending) {
  constexpr size_t kAtOnce = 128;
  const std::vector<cache::Descriptor>& children = manifest->children;
  for (size_t begin = 0; begin < children.size(); begin += kAtOnce) {
    if (begin > 0) co_await next_turn(context_.loop);
    std::map<EventLoop*, std::vector<Source>> by_home;
    for (size_t i = begin; i < std::min(begin + kAtOnce, children.size()); ++i) {
      const cache::Descriptor& child = children[i];
      by_home[&puller_.home_of(child.digest)].push_back(
          {.repository = repository, .digest = child.digest, .has_link = true, .link_size = child.size});
    }
    for (auto& [home, sources] : by_home) {
      PendingLinks& links = puller_.at(*home).fills().pending_links();
      home->post([&links, sources = std::move(sources), is_pending] {
        for (const Source& source : sources) is_pending ? links.add(source) : links.remove(source);
      });
    }
  }
}

Task<Status> Manifests::store(cache::Repository repository, std::shared_ptr<const Manifest> manifest) {
  Digest digest = manifest->digest;
  co_await puller_.fills().claim(digest);
  Result<cache::Commit> placed = co_await place(repository, manifest);
  Status stored = placed ? Status() : Status(fail(placed.error()));
  if (placed) {
    Status committed = co_await commit_to(context_, std::move(*placed));
    stored = committed;
  }
  puller_.fills().release(digest);
  co_return stored;
}

// Gives what is then to be committed, which of a manifest with many children is megabytes: not for the loop
// to put together.
Task<Result<cache::Commit>> Manifests::place(cache::Repository repository,
                                             std::shared_ptr<const Manifest> manifest) {
  auto write = [&cache = context_.cache, repository, manifest]() -> Result<cache::Commit> {
    ENTREPOT_TRY_ASSIGN(bool is_there, cache.contains(manifest->digest));
    if (is_there) return commit_of(repository, *manifest);  // another repository brought it
    ENTREPOT_TRY_ASSIGN(std::unique_ptr<cache::Part> part,
                        cache.open_part(manifest->digest, manifest->bytes.size()));
    // What a fill may have left of it is not worth looking at.
    Status status = part->rewind({});
    if (status) status = part->append(manifest->bytes);
    if (status) status = part->verify();
    if (status) status = part->place();
    if (status) return commit_of(repository, *manifest);
    part->discard();
    return fail(status.error());
  };
  co_return co_await run_on_disk(context_.syncs, context_.loop, "store manifest", std::move(write));
}

void Manifests::tell(Key key, Result<PulledManifest> result) {
  std::vector<Completion<Result<PulledManifest>>*> waiters = std::exchange(fetches_.at(key).waiters, {});
  for (Completion<Result<PulledManifest>>* waiter : waiters) waiter->complete(result);
}

}  // namespace entrepot::pull
