#include "proxy/pull/tags.h"

#include <algorithm>
#include <utility>

#include "base/disk/run_on_disk.h"
#include "base/loop/call_on.h"
#include "base/loop/sleep.h"
#include "proxy/pull/commit.h"
#include "proxy/pull/freshness.h"
#include "proxy/pull/puller.h"
#include "proxy/pull/retry_budget.h"

namespace entrepot::pull {
namespace {

constexpr size_t kMaxEntries = 65'536;  // on each loop; what falls out is in the index
constexpr Duration kLeaveAlone{5'000};
constexpr Duration kLongestLeaveAlone{60'000};
constexpr int kMaxTimesAsked = 3;  // when pushes are announced while the upstream is being asked

// When the upstream has said that there is no such tag, or not for us, the index keeps it as checked at this
// time.
constexpr WallTime kGone{};

// The upstream has said no, of the tag or of its manifest.
bool is_refusal(const Error& error) {
  switch (error.code) {
    case Errc::name_unknown:
    case Errc::manifest_unknown:
    case Errc::manifest_invalid:
    case Errc::denied:
      return true;
    default:
      return false;
  }
}

}  // namespace

Task<Result<ResolvedTag>> Tags::resolve(TagRequest request) {
  EventLoop& home = puller_.home_of_tag(request.repository, request.tag);
  Tags& there = puller_.at(home).tags();
  auto ask = [&there, request] { return there.resolve_here(request); };
  co_return co_await call_on<Result<ResolvedTag>>(home, context_.loop, std::move(ask));
}

Task<Result<ResolvedTag>> Tags::resolve_here(TagRequest request) {
  std::string key = request.key();
  std::optional<Error> absent = absent_.find(key, context_.loop.clock().monotonic());
  if (absent) co_return fail(std::move(*absent));
  if (entries_.size() >= kMaxEntries) make_room();
  Entry& entry = entries_[key];
  std::optional<ResolvedTag> known = answer_from(entry, request.repository);
  bool is_first = !entry.is_checking;
  if (known) {
    if (known->is_to_be_checked && is_first) {
      entry.is_checking = true;
      context_.loop.spawn(check(std::move(request)));
    }
    co_return *known;
  }

  Completion<Result<ResolvedTag>> done;
  entry.waiters.push_back(&done);
  if (is_first) {
    entry.is_checking = true;
    context_.loop.spawn(check(std::move(request)));
  }
  Result<ResolvedTag> result = co_await done;
  if (result && !is_first && result->outcome == Outcome::miss) result->outcome = Outcome::collapsed;
  co_return std::move(result);
}

Task<Status> Tags::announce(TagRequest request) {
  EventLoop& home = puller_.home_of_tag(request.repository, request.tag);
  Tags& there = puller_.at(home).tags();
  auto start = [&there, request] { return there.announce_here(request); };
  co_return co_await call_on<Status>(home, context_.loop, std::move(start));
}

Task<Status> Tags::announce_here(TagRequest request) {
  std::string key = request.key();
  absent_.forget(key);
  if (entries_.size() >= kMaxEntries) make_room();
  Entry& entry = entries_[key];
  ++entry.announcements;
  entry.leave_alone_until = {};
  auto look = [&cache = context_.cache, request] { return cache.find_tag(request.repository, request.tag); };
  Result<std::optional<cache::FoundTag>> found = co_await run_on_disk_within(
      context_.disk_patience, context_.look_ups, context_.loop, "find tag", std::move(look));
  if (!found) co_return fail(std::move(found).error());
  std::optional<Digest> digest;
  if (*found && (*found)->checked_at != kGone) digest = (*found)->digest;
  // What memory has learned meanwhile is newer, and may be on its way into the index. A check that runs, or
  // has asked since, tells the index itself.
  if (auto known = entries_.find(key); known != entries_.end()) {
    if (known->second.is_checking || !known->second.is_announced()) co_return Status();
    if (known->second.digest) digest = known->second.digest;
  }
  if (!digest) co_return Status();
  // So old in the index that it is asked for after a crash, too.
  MonotonicTime now = context_.loop.clock().monotonic();
  Freshness freshness(context_, request.repository, now);
  MonotonicTime::duration age = freshness.given_unasked_until() - now + std::chrono::seconds(1);
  WallTime checked_at = context_.loop.clock().wall() - age;
  if (*found && (*found)->checked_at != kGone) checked_at = std::min(checked_at, (*found)->checked_at);
  cache::Commit commit;
  commit.tags.push_back(
      {.repository = request.repository, .tag = request.tag, .digest = *digest, .checked_at = checked_at});
  co_return co_await commit_to(context_, std::move(commit), context_.disk_patience);
}

void Tags::drop(const TagRequest& request) {
  auto entry = entries_.find(request.key());
  if (entry == entries_.end()) return;
  // One that is being checked learns what it is now anyway.
  if (entry->second.is_checking)
    ++entry->second.announcements;
  else
    entries_.erase(entry);
}

Task<void> Tags::check(TagRequest request) {
  std::string key = request.key();
  Entry& entry = entries_.at(key);  // stays: an entry that is being checked is not dropped
  std::optional<ResolvedTag> known;
  if (!entry.digest) {
    co_await recall(entry, request);
    known = answer_from(entry, request.repository);
    if (known) answer_waiters(entry, *known);
  }
  if (!known || known->is_to_be_checked) {
    for (int times = 1;; ++times) {
      uint64_t heard = entry.announcements;
      Result<ResolvedTag> result = co_await ask(entry, request);
      bool was_asked = result ? !is_stale(result->outcome) : !upstream::is_no_answer(result.error());
      if (was_asked) entry.heeded = heard;
      // It may have moved since it was asked for; but who waits must not wait for ever.
      if (was_asked && entry.is_announced() && times < kMaxTimesAsked) continue;
      answer_waiters(entry, result);
      break;
    }
  }
  entry.is_checking = false;
  if (!entry.digest) entries_.erase(key);
}

void Tags::answer_waiters(Entry& entry, const Result<ResolvedTag>& result) {
  std::vector<Completion<Result<ResolvedTag>>*> waiters = std::exchange(entry.waiters, {});
  for (Completion<Result<ResolvedTag>>* waiter : waiters) waiter->complete(result);
}

// What the index knows from an earlier run. Its time is wall time; a clock that was set back makes the tag
// old, not young for ever.
Task<void> Tags::recall(Entry& entry, TagRequest request) {
  auto look = [&cache = context_.cache, request] { return cache.find_tag(request.repository, request.tag); };
  Result<std::optional<cache::FoundTag>> found = co_await run_on_disk_within(
      context_.disk_patience, context_.look_ups, context_.loop, "find tag", std::move(look));
  if (!found || !*found || (*found)->checked_at == kGone) co_return;
  MonotonicTime now = context_.loop.clock().monotonic();
  MonotonicTime::duration age = context_.loop.clock().wall() - (*found)->checked_at;
  if (age < age.zero()) age = Freshness(context_, request.repository, now).fresh_until() - now;
  entry.digest = (*found)->digest;
  entry.checked_at = now - age;
}

Task<Result<ResolvedTag>> Tags::ask(Entry& entry, TagRequest request) {
  const cache::Repository& repository = request.repository;
  upstream::Registry* registry = context_.upstreams.find(repository.upstream);
  if (registry == nullptr) co_return fail(Errc::name_unknown, "no such upstream: " + repository.upstream);
  bool may_be_stale = entry.digest.has_value();
  uint64_t heard = entry.announcements;
  if (!may_be_stale) {
    Status allowed = puller_.may_ask_for(request.client);
    if (!allowed) co_return fail(allowed.error());
  }
  std::string name = repository.name;
  std::string tag = request.tag;
  Result<upstream::ManifestHead> head =
      co_await ask_head(*registry, std::move(name), std::move(tag), may_be_stale);
  if (head && !head->digest)
    head = fail(Errc::upstream_failed,
                "the upstream does not tell the digest of " + repository.name + ":" + request.tag);
  bool has_brought_manifest = false;
  Result<Digest> digest = head ? Result<Digest>(*head->digest) : fail(head.error());
  if (head && entry.digest != head->digest) {
    upstream::ManifestHead told = *head;
    Result<PulledManifest> pulled = co_await pull(entry, request, std::move(told));
    digest = pulled ? Result<Digest>(pulled->manifest->digest) : fail(pulled.error());
    has_brought_manifest = pulled && pulled->outcome != Outcome::hit;
  }
  if (!digest) {
    Error error = digest.error();
    if (is_refusal(error)) co_await note_refusal(entry, request, error);
    co_return stale_or_fail(entry, repository, error);
  }
  bool is_known = entry.digest == *digest;
  entry.digest = *digest;
  entry.checked_at = context_.loop.clock().monotonic();
  entry.leave_alone_until = {};
  absent_.forget(request.key());  // where an older answer may stand
  // One that was announced meanwhile stays old in the index.
  if (entry.announcements == heard) remember(request, *digest);
  co_return ResolvedTag{*entry.digest, is_known ? Outcome::revalidated : Outcome::miss,
                        Freshness(context_, repository, entry.checked_at).fresh_until(), false,
                        has_brought_manifest};
}

// A tag moves when its new manifest is here, so that what was there can be given while the upstream does not
// give the new one. When few pulls are left they are for what is not cached at all, as long as the old
// manifest may be given.
//
// Where a HEAD names a manifest that the upstream does not have, its header is wrong, or has run ahead of
// what is there: then the tag is what a GET of it gives. Not where the manifest's bytes are wrong: so may be
// the tag's.
Task<Result<PulledManifest>> Tags::pull(Entry& entry, TagRequest request, upstream::ManifestHead head) {
  const cache::Repository& repository = request.repository;
  Digest told = *head.digest;
  Freshness freshness(context_, repository, entry.checked_at);
  bool may_wait = entry.digest && freshness.may_be_given_on_error(context_.loop.clock().monotonic());
  if (head.is_limit_nearly_used_up && may_wait) {
    bool is_here = co_await puller_.manifests().has(repository, told);
    if (!is_here)
      co_return fail(Errc::upstream_rate_limited,
                     "a tag has moved, and few pulls are left for what it names");
  }
  if (entry.refuted != told) {
    Result<PulledManifest> manifest = co_await puller_.manifests().get(repository, told);
    if (manifest || manifest.error().code != Errc::manifest_unknown) co_return std::move(manifest);
    entry.refuted = told;
    context_.logger.warn(
        "{}/{}:{} is {} by the upstream's header, and there is no such manifest: asking for the tag itself",
        repository.upstream, repository.name, request.tag, told.text());
  }
  std::string tag = request.tag;
  Result<PulledManifest> manifest = co_await puller_.manifests().get_by_tag(repository, std::move(tag));
  if (manifest && manifest->manifest->digest == told) entry.refuted.reset();
  co_return std::move(manifest);
}

// Where there is no old answer to give, a passing fault is worth another try.
Task<Result<upstream::ManifestHead>> Tags::ask_head(upstream::Registry& registry, std::string name,
                                                    std::string tag, bool may_be_stale) {
  RetryBudget budget;
  while (true) {
    Reference reference = tag;
    Result<upstream::ManifestHead> head = co_await registry.head_manifest(name, std::move(reference));
    if (head || may_be_stale || !upstream::is_no_answer(head.error())) co_return std::move(head);
    std::optional<Duration> wait = budget.after(head.error(), false);
    if (!wait) co_return std::move(head);
    co_await sleep_on(context_.loop, *wait);
  }
}

std::optional<ResolvedTag> Tags::answer_from(const Entry& entry, const cache::Repository& repository) const {
  if (!entry.digest) return std::nullopt;
  MonotonicTime now = context_.loop.clock().monotonic();
  Freshness freshness(context_, repository, entry.checked_at);
  bool is_left_alone = now < entry.leave_alone_until;
  if (freshness.is_fresh(now) && !entry.is_announced())
    return ResolvedTag{*entry.digest, Outcome::hit, freshness.fresh_until()};
  ResolvedTag old{*entry.digest, is_left_alone ? entry.stale_as : Outcome::stale, freshness.fresh_until()};
  if (is_left_alone && freshness.may_be_given_on_error(now)) return old;
  old.is_to_be_checked = true;
  if (!is_left_alone && !entry.is_announced() && freshness.may_be_given_meanwhile(now)) return old;
  return std::nullopt;
}

// The upstream has said no. That the name is not there holds for a while; that it is not for us may be mended
// at any moment.
Task<void> Tags::note_refusal(Entry& entry, TagRequest request, Error error) {
  MonotonicTime now = context_.loop.clock().monotonic();
  puller_.misses().count(request.client, now);
  upstream::Registry* registry = context_.upstreams.find(request.repository.upstream);
  Duration ttl = registry == nullptr ? Duration::zero() : registry->settings().negative_ttl;
  bool is_absent = error.code == Errc::manifest_unknown || error.code == Errc::name_unknown;
  if (is_absent && ttl > Duration::zero()) absent_.add(request.key(), error, now + ttl);
  if (entry.digest) co_await forget(entry, std::move(request));
}

// The index must know before anybody is told, or the tag would come back from there.
Task<void> Tags::forget(Entry& entry, TagRequest request) {
  cache::Commit commit;
  commit.tags.push_back({.repository = std::move(request.repository),
                         .tag = std::move(request.tag),
                         .digest = *entry.digest,
                         .checked_at = kGone});
  entry.digest.reset();
  Status committed = co_await commit_to(context_, std::move(commit), context_.disk_patience);
  if (!committed) context_.logger.error("could not forget a tag: {}", committed.error().message);
}

Result<ResolvedTag> Tags::stale_or_fail(Entry& entry, const cache::Repository& repository,
                                        const Error& error) {
  MonotonicTime now = context_.loop.clock().monotonic();
  Freshness freshness(context_, repository, entry.checked_at);
  if (!entry.digest || !freshness.may_be_given_on_error(now)) return fail(error);
  Duration wait =
      std::clamp(Duration(std::chrono::seconds(error.retry_after_seconds)), kLeaveAlone, kLongestLeaveAlone);
  entry.leave_alone_until = now + wait;
  entry.stale_as = stale_by(error);
  context_.logger.warn("serving {}/{} stale: {}", repository.upstream, repository.name, error.message);
  return ResolvedTag{*entry.digest, entry.stale_as, freshness.fresh_until()};
}

void Tags::remember(const TagRequest& request, const Digest& digest) {
  cache::Commit commit;
  commit.tags.push_back({.repository = request.repository,
                         .tag = request.tag,
                         .digest = digest,
                         .checked_at = context_.loop.clock().wall()});
  context_.cache.commit(std::move(commit), [&logger = context_.logger](const Status& status) {
    if (!status) logger.error("could not index a tag: {}", status.error().message);
  });
}

void Tags::make_room() {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (!entry->second.is_checking)
      entry = entries_.erase(entry);
    else
      ++entry;
    if (entries_.size() < kMaxEntries * 3 / 4) return;
  }
}

}  // namespace entrepot::pull
