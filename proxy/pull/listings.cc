#include "proxy/pull/listings.h"

#include <functional>
#include <utility>

#include "base/disk/run_on_disk.h"
#include "base/loop/call_on.h"
#include "proxy/pull/freshness.h"
#include "proxy/pull/puller.h"

namespace entrepot::pull {
namespace {

constexpr size_t kMaxEntries = 1024;  // on each loop
constexpr size_t kMaxReferrers = 1000;
constexpr size_t kMaxListing = 4 * 1024 * 1024;
constexpr size_t kMaxBytes = 16 * 1024 * 1024;
constexpr Duration kLeaveAlone{5'000};

// The tag under which registries without the referrers API keep a manifest's referrers.
std::string fallback_tag(const Digest& subject) {
  constexpr size_t kMaxAlgorithm = 32;
  constexpr size_t kMaxEncoded = 64;
  std::string text = subject.text();
  size_t colon = text.find(':');
  return text.substr(0, std::min(colon, kMaxAlgorithm)) + '-' + text.substr(colon + 1, kMaxEncoded);
}

// Offline, what is not here is nowhere.
bool is_absent(const Error& error) {
  return error.code == Errc::manifest_unknown || error.code == Errc::name_unknown ||
         error.code == Errc::offline;
}

}  // namespace

std::string ListingKey::text() const {
  return repository.upstream + '/' + repository.name + (subject ? '@' + subject->text() : "") + '?' + query;
}

Task<Result<FoundListing>> Listings::get(ListingKey key, std::string client) {
  EventLoop& home = context_.loops.home_of(std::hash<std::string>()(key.text()));
  Listings& there = puller_.at(home).listings();
  auto ask = [&there, key, client] { return there.get_here(key, client); };
  co_return co_await call_on<Result<FoundListing>>(home, context_.loop, std::move(ask));
}

void Listings::announce(const cache::Repository& repository) {
  ++announcements_;
  std::string prefix = repository.upstream + '/' + repository.name;
  for (Entry& entry : entries_) {
    bool is_its =
        entry.key.starts_with(prefix) && (entry.key[prefix.size()] == '?' || entry.key[prefix.size()] == '@');
    if (!is_its) continue;
    entry.is_announced = true;
    entry.leave_alone_until = {};
  }
}

Task<Result<FoundListing>> Listings::get_here(ListingKey key, std::string client) {
  std::string text = key.text();
  if (Entry* entry = find(text)) {
    MonotonicTime now = context_.loop.clock().monotonic();
    Freshness freshness(context_, key.repository, entry->checked_at);
    bool is_left_alone = now < entry->leave_alone_until;
    FoundListing old{entry->listing, is_left_alone ? entry->stale_as : Outcome::stale,
                     freshness.fresh_until()};
    bool is_fresh = freshness.is_fresh(now) && !entry->is_announced;
    if (is_fresh) old.outcome = Outcome::hit;
    if (is_fresh || (is_left_alone && freshness.may_be_given_on_error(now))) co_return std::move(old);
    if (!is_left_alone && !entry->is_announced && freshness.may_be_given_meanwhile(now)) {
      if (!std::exchange(entry->is_refreshing, true))
        context_.loop.spawn(refresh_meanwhile(std::move(key), std::move(client)));
      co_return std::move(old);
    }
  }
  bool is_first = false;
  auto start = [this, &key, &client, &is_first] {
    is_first = true;
    return refresh(key, client);
  };
  Result<FoundListing> found = co_await flights_.ask(std::move(text), std::move(start));
  if (found && !is_first && found->outcome == Outcome::miss) found->outcome = Outcome::collapsed;
  co_return std::move(found);
}

Task<void> Listings::refresh_meanwhile(ListingKey key, std::string client) {
  std::string text = key.text();
  auto start = [this, &key, &client] { return refresh(key, client); };
  co_await flights_.ask(text, std::move(start));
  if (Entry* entry = find(text)) entry->is_refreshing = false;
}

Task<Result<FoundListing>> Listings::refresh(ListingKey key, std::string client) {
  std::string text = key.text();
  if (find(text) == nullptr) {
    Status allowed = puller_.may_ask_for(client);
    if (!allowed) co_return fail(allowed.error());
  }
  uint64_t heard = announcements_;
  Result<std::shared_ptr<const Listing>> fetched = co_await fetch(key, client);
  MonotonicTime now = context_.loop.clock().monotonic();
  if (fetched) {
    bool may_be_old = announcements_ != heard;  // it was on its way when a push was announced
    keep(text, *fetched, may_be_old);
    co_return FoundListing{std::move(*fetched), Outcome::miss,
                           Freshness(context_, key.repository, now).fresh_until()};
  }
  if (!upstream::is_no_answer(fetched.error())) puller_.misses().count(client, now);
  Entry* old = find(text);
  if (old == nullptr || !upstream::is_no_answer(fetched.error())) co_return fail(fetched.error());
  Freshness freshness(context_, key.repository, old->checked_at);
  if (!freshness.may_be_given_on_error(now)) co_return fail(fetched.error());
  old->leave_alone_until = now + kLeaveAlone;
  old->stale_as = stale_by(fetched.error());
  context_.logger.warn("serving a listing of {}/{} stale: {}", key.repository.upstream, key.repository.name,
                       fetched.error().message);
  co_return FoundListing{old->listing, old->stale_as, freshness.fresh_until()};
}

Task<Result<std::shared_ptr<const Listing>>> Listings::fetch(ListingKey key, std::string client) {
  upstream::Registry* registry = context_.upstreams.find(key.repository.upstream);
  if (registry == nullptr) co_return fail(Errc::name_unknown, "no such upstream: " + key.repository.upstream);
  if (registry->is_offline() && !key.subject) co_return co_await find_tags(std::move(key));
  if (registry->is_offline()) co_return co_await find_referrers(std::move(key), std::move(client));
  upstream::ListingRequest request{key.repository.name, key.subject, key.query};
  Result<upstream::ListingPage> page = co_await registry->list(std::move(request));
  if (!page && key.subject && is_absent(page.error())) {
    Digest subject = *key.subject;
    co_return co_await fetch_fallback(key.repository, subject, std::move(client));
  }
  if (!page) co_return fail(page.error());
  Slots::Slot room = std::move(page->room);  // until it is read
  // Up to 8 MiB to parse: not on the loop.
  bool are_referrers = key.subject.has_value();
  auto read = [page = std::move(*page), are_referrers]() -> Result<std::shared_ptr<const Listing>> {
    ENTREPOT_TRY_ASSIGN(Listing listing,
                        are_referrers ? read_referrers(page.bytes) : read_tag_list(page.bytes));
    listing.next_query = page.next_query;
    return std::make_shared<const Listing>(std::move(listing));
  };
  co_return co_await run_on_disk(context_.compute, context_.loop, "read listing", std::move(read));
}

// Offline.
Task<Result<std::shared_ptr<const Listing>>> Listings::find_tags(ListingKey key) {
  auto look = [&cache = context_.cache, key]() -> Result<std::shared_ptr<const Listing>> {
    ENTREPOT_TRY_ASSIGN(std::vector<std::string> tags,
                        cache.list_tags(key.repository, key.after, key.limit + 1));
    bool has_more = tags.size() > key.limit;
    if (has_more) tags.pop_back();
    if (tags.empty() && key.after.empty())
      return fail(Errc::name_unknown, "offline, and no tag of " + key.repository.upstream + "/" +
                                          key.repository.name + " is here");
    Listing listing;
    for (const std::string& tag : tags) listing.add('"' + tag + '"', {});
    // A tag's name needs no encoding.
    if (has_more) listing.next_query = "n=" + std::to_string(key.limit) + "&last=" + tags.back();
    return std::make_shared<const Listing>(std::move(listing));
  };
  co_return co_await run_on_disk_within(context_.disk_patience, context_.look_ups, context_.loop, "list tags",
                                        std::move(look));
}

// Offline: what the index knows, and what the fallback tag names beside.
Task<Result<std::shared_ptr<const Listing>>> Listings::find_referrers(ListingKey key, std::string client) {
  Digest subject = *key.subject;
  Result<std::shared_ptr<const Manifest>> fallback =
      co_await find_fallback(key.repository, subject, std::move(client));
  if (!fallback && !is_absent(fallback.error())) co_return fail(fallback.error());
  auto look = [&cache = context_.cache, repository = key.repository, subject,
               fallback = fallback ? *fallback : nullptr]() -> Result<std::shared_ptr<const Listing>> {
    Listing listing;
    ENTREPOT_TRY_ASSIGN(std::vector<Digest> digests,
                        cache.list_referrers(repository, subject, kMaxReferrers));
    for (const Digest& digest : digests) {
      ENTREPOT_TRY_ASSIGN(std::optional<cache::FoundManifest> found, cache.find_manifest(repository, digest));
      if (!found || listing.weight() > kMaxListing) continue;
      Manifest manifest{.digest = digest,
                        .media_type = found->media_type,
                        .size = found->size,
                        .bytes = std::move(found->bytes),
                        .file = std::move(found->file),
                        .children = {}};
      ENTREPOT_TRY_ASSIGN(std::string bytes, read_bytes(manifest));
      ENTREPOT_TRY(add_referrer(listing, digest, manifest.media_type, bytes));
    }
    if (fallback) {
      ENTREPOT_TRY_ASSIGN(std::string bytes, read_bytes(*fallback));
      ENTREPOT_TRY(add_referrers(listing, bytes));
    }
    return std::make_shared<const Listing>(std::move(listing));
  };
  co_return co_await run_on_disk(context_.look_ups, context_.loop, "find referrers", std::move(look));
}

Task<Result<std::shared_ptr<const Listing>>> Listings::fetch_fallback(cache::Repository repository,
                                                                      Digest subject, std::string client) {
  Result<std::shared_ptr<const Manifest>> index =
      co_await find_fallback(std::move(repository), subject, std::move(client));
  if (!index) co_return fail(index.error());
  if (!*index) co_return std::make_shared<const Listing>();
  auto read = [manifest = *index]() -> Result<std::shared_ptr<const Listing>> {
    ENTREPOT_TRY_ASSIGN(std::string bytes, read_bytes(*manifest));
    ENTREPOT_TRY_ASSIGN(Listing listing, read_referrers(bytes));
    return std::make_shared<const Listing>(std::move(listing));
  };
  co_return co_await run_on_disk_within(context_.disk_patience, context_.look_ups, context_.loop,
                                        "read referrers", std::move(read));
}

// nullptr: there is none.
Task<Result<std::shared_ptr<const Manifest>>> Listings::find_fallback(cache::Repository repository,
                                                                      Digest subject, std::string client) {
  TagRequest request{repository, fallback_tag(subject), std::move(client)};
  Result<ResolvedTag> resolved = co_await puller_.tags().resolve(std::move(request));
  if (!resolved && is_absent(resolved.error())) co_return nullptr;
  if (!resolved) co_return fail(resolved.error());
  Digest digest = resolved->digest;
  Result<PulledManifest> index = co_await puller_.manifests().get(std::move(repository), digest);
  if (!index) co_return fail(index.error());
  co_return index->manifest;
}

Listings::Entry* Listings::find(const std::string& key) {
  auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return &entries_.front();
}

void Listings::keep(const std::string& key, std::shared_ptr<const Listing> listing, bool is_announced) {
  Entry* entry = find(key);
  if (entry == nullptr) {
    entries_.push_front(Entry{.key = key, .listing = {}, .checked_at = {}, .leave_alone_until = {}});
    by_key_.emplace(key, entries_.begin());
    entry = &entries_.front();
  }
  bytes_ -= entry->weight;
  entry->weight = listing->weight() + key.size();
  bytes_ += entry->weight;
  entry->listing = std::move(listing);
  entry->checked_at = context_.loop.clock().monotonic();
  entry->leave_alone_until = {};
  entry->is_announced = is_announced;
  while (entries_.size() > kMaxEntries || (bytes_ > kMaxBytes && entries_.size() > 1)) {
    bytes_ -= entries_.back().weight;
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

}  // namespace entrepot::pull
