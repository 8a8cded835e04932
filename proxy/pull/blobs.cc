#include "proxy/pull/blobs.h"

#include "base/disk/run_on_disk.h"
#include "base/loop/call_on.h"
#include "proxy/pull/puller.h"

namespace entrepot::pull {
namespace {

// How often a blob may slip away between the look-up and its fill (committed, evicted) before we give up.
constexpr int kMaxLookUps = 4;

}  // namespace

Task<Result<Blobs::LookUp>> Blobs::look_up(cache::Repository repository, Digest digest) {
  auto look = [&cache = context_.cache, repository, digest]() -> Result<LookUp> {
    LookUp found;
    ENTREPOT_TRY_ASSIGN(found.blob, cache.find_blob(repository, digest));
    if (!found.blob || found.blob->is_doubtful) {
      ENTREPOT_TRY_ASSIGN(found.link, cache.find_link(repository, digest));
    }
    return found;
  };
  Result<LookUp> found = co_await run_on_disk_within(context_.disk_patience, context_.look_ups, context_.loop,
                                                     "find blob", std::move(look));
  if (found && found->blob && found->blob->is_doubtful) {
    cache::FoundBlob blob = *found->blob;
    Result<bool> is_right = co_await prove(blob, digest);
    if (!is_right) found = fail(is_right.error());
    if (is_right && !*is_right) found->blob.reset();
  }
  if (!found) context_.cache.note_failure("looking up " + digest.text(), found.error());
  co_return std::move(found);
}

// As long as reading all of it takes: not where others are looked up.
Task<Result<bool>> Blobs::prove(cache::FoundBlob blob, Digest digest) {
  auto progress = std::make_shared<JobProgress>();
  auto prove = [&cache = context_.cache, digest, blob = std::move(blob), progress] {
    return cache.prove(digest, blob, [&progress = *progress] { progress.step(); });
  };
  co_return co_await run_on_disk_within(context_.disk_patience, context_.proofs, context_.loop, "prove blob",
                                        std::move(prove), progress);
}

Task<Result<OpenBlob>> Blobs::open(cache::Repository repository, Digest digest) {
  for (int i = 0; i < kMaxLookUps; ++i) {
    Result<LookUp> found = co_await look_up(repository, digest);
    if (found && found->blob) {
      OpenBlob blob;
      blob.file = std::move(found->blob->file);
      blob.size = found->blob->size;
      co_return std::move(blob);
    }
    ENTREPOT_CO_TRY(may_be_fetched(repository, digest));
    Source source{.repository = repository, .digest = digest};
    // The index can't tell: storing it now might replace what it knows, or wait for a disk that hangs.
    if (!found) co_return co_await go_past_cache(std::move(source));
    if (found->link) {
      source.has_link = true;
      source.link_size = found->link->size;
    }
    if (context_.cache.is_too_large(source.link_size)) co_return co_await go_past_cache(std::move(source));
    Result<OpenBlob> joined = co_await join(source);
    if (joined) co_return std::move(joined);
    if (Fill::is_store_failure(joined.error())) co_return co_await go_past_cache(std::move(source));
    if (joined.error().code != Errc::cancelled) co_return std::move(joined);
  }
  co_return fail(Errc::overloaded, "blob " + digest.text() + " is evicted as fast as it is fetched");
}

Status Blobs::may_be_fetched(const cache::Repository& repository, const Digest& digest) const {
  upstream::Registry* registry = context_.upstreams.find(repository.upstream);
  if (registry == nullptr || !registry->is_offline()) return {};
  return fail(Errc::blob_unknown, "offline, and " + repository.upstream + "/" + repository.name + "@" +
                                      digest.text() + " is not here");
}

Task<Result<OpenBlob>> Blobs::join(Source source) {
  EventLoop& home = puller_.home_of(source.digest);
  Fills& fills = puller_.at(home).fills();
  auto ask = [&fills, source] { return fills.join(source); };
  Result<Fills::Joined> joined = co_await call_on<Result<Fills::Joined>>(home, context_.loop, std::move(ask));
  if (!joined) co_return fail(joined.error());
  OpenBlob blob;
  blob.file = joined->head.file;
  blob.size = joined->head.size;
  blob.outcome = joined->has_started_it ? Outcome::miss : Outcome::collapsed;
  blob.fill.emplace(context_.loop, home, std::move(joined->fill), std::move(joined->head),
                    joined->has_started_it);
  co_return std::move(blob);
}

Task<Result<OpenBlob>> Blobs::go_past_cache(Source source) {
  WrongOrigins& wrong = puller_.fills().wrong_origins();
  Result<std::unique_ptr<Bypass>> bypass = co_await Bypass::open(context_, wrong, std::move(source));
  if (!bypass) co_return fail(bypass.error());
  OpenBlob blob;
  blob.size = (*bypass)->size();
  blob.bypass = std::move(*bypass);
  blob.outcome = Outcome::bypass;
  co_return std::move(blob);
}

Task<Result<std::unique_ptr<Bypass>>> Blobs::go_on(cache::Repository repository, Digest digest,
                                                   Remainder remainder, Bypass::Given given) {
  WrongOrigins& wrong = puller_.fills().wrong_origins();
  Source source{.repository = std::move(repository), .digest = digest};
  co_return co_await Bypass::resume(context_, wrong, std::move(source), std::move(remainder),
                                    std::move(given));
}

Task<Result<BlobHead>> Blobs::head(cache::Repository repository, Digest digest) {
  Result<LookUp> found = co_await look_up(repository, digest);
  if (found && found->blob) co_return BlobHead{found->blob->size, Outcome::hit};
  ENTREPOT_CO_TRY(may_be_fetched(repository, digest));
  if (found && found->link && found->link->size > 0) co_return BlobHead{found->link->size, Outcome::miss};
  Source source{.repository = std::move(repository), .digest = digest};
  EventLoop& home = puller_.home_of(digest);
  Fills& fills = puller_.at(home).fills();
  auto ask = [&fills, source] { return fills.head(source); };
  Result<upstream::BlobHead> head =
      co_await call_on<Result<upstream::BlobHead>>(home, context_.loop, std::move(ask));
  if (!head) co_return fail(head.error());
  if (!head->size)
    co_return fail(Errc::upstream_failed, "the upstream does not tell the size of " + digest.text());
  co_return BlobHead{*head->size, Outcome::miss};
}

}  // namespace entrepot::pull
