#include "proxy/pull/fills.h"

#include "base/disk/run_on_disk.h"
#include "proxy/pull/commit.h"

namespace entrepot::pull {
namespace {

constexpr size_t kMaxTooLarge = 4096;
constexpr Duration kTooLargeFor{5 * 60'000};

}  // namespace

Task<Result<Fills::Joined>> Fills::join(Source asked) {
  Source source = co_await find_right(asked);
  const Digest digest = source.digest;
  if (is_known_too_large(digest)) co_return fail(Errc::disk_full, "larger than the cache may be");
  auto found = fills_.end();
  while (true) {
    if (claimed_.contains(digest)) {
      co_await until_free(digest);
      continue;
    }
    found = fills_.find(digest);
    if (found == fills_.end()) break;
    if (found->second->is_ending()) {
      co_await until_free(digest);
      continue;
    }
    if (source.has_link || found->second->source() == source.repository) break;
    Status proven = co_await prove_right(source);
    if (!proven) co_return fail(proven.error());
    source.has_link = true;
  }

  Joined joined;
  joined.has_started_it = found == fills_.end();
  joined.fill = joined.has_started_it ? start(source) : found->second;
  Fill& fill = *joined.fill;
  Result<FillHead> head = co_await fill.head(source);
  if (head) {
    joined.head = std::move(*head);
    co_return std::move(joined);
  }
  note_too_large(fill, digest);
  // The bytes are in the cache, through another repository perhaps: the next look-up must find our link to
  // them.
  if (joined.fill->ending() == Fill::Ending::cached && !asked.has_link) {
    Status linked = co_await make_link(source);
    if (!linked) co_return fail(linked.error());
  }
  co_return fail(head.error());
}

bool Fills::is_known_too_large(const Digest& digest) {
  auto known = too_large_.find(digest);
  if (known == too_large_.end() || context_.loop.clock().monotonic() >= known->second.until) return false;
  return context_.cache.is_too_large(known->second.size);  // the budget may be another by now
}

// Who asks next need not learn it from another upstream request that is then dropped.
void Fills::note_too_large(const Fill& fill, const Digest& digest) {
  if (!fill.size() || !context_.cache.is_too_large(*fill.size())) return;
  if (too_large_.size() >= kMaxTooLarge) too_large_.clear();
  too_large_.insert_or_assign(digest,
                              TooLarge{*fill.size(), context_.loop.clock().monotonic() + kTooLargeFor});
}

std::shared_ptr<Fill> Fills::start(const Source& source) {
  auto forget = [this, digest = source.digest] {
    fills_.erase(digest);
    wake(digest);
  };
  auto fill = std::make_shared<Fill>(context_, wrong_origins_, source.digest, std::move(forget));
  fills_.emplace(source.digest, fill);
  fill->start(source);
  return fill;
}

// The link may have been on its way into the index while the asker looked there. What is neither pending here
// nor in the index now does not exist.
Task<Source> Fills::find_right(Source source) {
  if (source.has_link) co_return std::move(source);
  const Source* pending = pending_links_.find(source.repository, source.digest);
  if (pending != nullptr) co_return *pending;
  auto look = [&cache = context_.cache, repository = source.repository, digest = source.digest] {
    return cache.find_link(repository, digest);
  };
  Result<std::optional<cache::Descriptor>> link = co_await run_on_disk_within(
      context_.disk_patience, context_.look_ups, context_.loop, "find link", std::move(look));
  if (link && *link) {
    source.has_link = true;
    source.link_size = (*link)->size;
  }
  co_return std::move(source);
}

Task<bool> Fills::claim(Digest digest) {
  while (fills_.contains(digest) || claimed_.contains(digest)) co_await until_free(digest);
  claimed_.insert(digest);
  co_return true;
}

void Fills::release(const Digest& digest) {
  claimed_.erase(digest);
  wake(digest);
}

Task<bool> Fills::until_free(Digest digest) {
  Completion<bool> free;
  waiting_.emplace(digest, &free);
  co_return co_await free;
}

void Fills::wake(const Digest& digest) {
  auto range = waiting_.equal_range(digest);
  for (auto one = range.first; one != range.second; ++one) one->second->complete(true);
  waiting_.erase(range.first, range.second);
}

// In the index, durably, by whatever right the source has.
Task<Status> Fills::make_link(Source source) {
  if (!source.has_link) co_return co_await prove_right(source);
  cache::Commit commit;
  commit.links.push_back(
      {.repository = source.repository, .object = {.digest = source.digest, .size = source.link_size}});
  co_return co_await commit_to(context_, std::move(commit), context_.disk_patience);
}

Task<Status> Fills::prove_right(Source source) {
  Result<upstream::BlobHead> head = co_await this->head(source);
  if (!head) co_return fail(head.error());
  source.has_link = true;
  source.link_size = head->size.value_or(0);
  co_return co_await make_link(source);
}

Task<Result<upstream::BlobHead>> Fills::head(Source source) {
  std::string key = source.repository.upstream + '/' + source.repository.name + '@' + source.digest.text();
  auto ask = [this, source] { return ask_head(source); };
  co_return co_await heads_.ask(std::move(key), std::move(ask));
}

Task<Result<upstream::BlobHead>> Fills::ask_head(Source source) {
  upstream::Registry* registry = context_.upstreams.find(source.repository.upstream);
  if (registry == nullptr)
    co_return fail(Errc::name_unknown, "no such upstream: " + source.repository.upstream);
  std::string name = source.repository.name;
  co_return co_await registry->head_blob(std::move(name), source.digest);
}

}  // namespace entrepot::pull
