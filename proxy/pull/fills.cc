#include "proxy/pull/fills.h"

#include "proxy/pull/commit.h"

namespace entrepot::pull {

Task<Result<Fills::Joined>> Fills::join(Source source) {
  bool has_indexed_link = source.has_link;
  const Source* pending = pending_links_.find(source.repository, source.digest);
  if (pending != nullptr) source = *pending;

  while (claimed_.contains(source.digest)) co_await until_free(source.digest);
  auto found = fills_.find(source.digest);
  if (found != fills_.end() && !source.has_link && found->second->source() != source.repository) {
    Status proven = co_await prove_right(source);
    if (!proven) co_return fail(proven.error());
    source.has_link = true;
    found = fills_.find(source.digest);
  }

  Joined joined;
  if (found != fills_.end()) {
    joined.fill = found->second;
  } else {
    auto forget = [this, digest = source.digest] {
      fills_.erase(digest);
      wake(digest);
    };
    joined.fill = std::make_shared<Fill>(context_, source.digest, std::move(forget));
    joined.has_started_it = true;
    fills_.emplace(source.digest, joined.fill);
    joined.fill->start(source);
  }
  Result<FillHead> head = co_await joined.fill->head(source);
  if (head) {
    joined.head = std::move(*head);
    co_return std::move(joined);
  }
  // The bytes are in the cache, through another repository perhaps: the next look-up must find our link to
  // them.
  if (Fill::is_already_cached(head.error()) && !has_indexed_link) {
    Status linked = co_await make_link(source);
    if (!linked) co_return fail(linked.error());
  }
  co_return fail(head.error());
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
  co_return co_await commit_to(context_, std::move(commit));
}

// The head of the upstream's answer is the proof; the body is not read. (HEAD would be cheaper, but ECR
// Public refuses it for blobs: a GET is what every registry answers truly.)
Task<Status> Fills::prove_right(Source source) {
  upstream::Registry* registry = context_.upstreams.find(source.repository.upstream);
  if (registry == nullptr)
    co_return fail(Errc::name_unknown, "no such upstream: " + source.repository.upstream);
  Result<std::unique_ptr<upstream::BlobBody>> body =
      co_await registry->get_blob(source.repository.name, source.digest);
  if (!body) co_return fail(body.error());
  source.has_link = true;
  source.link_size = (*body)->size().value_or(0);
  body->reset();
  co_return co_await make_link(source);
}

}  // namespace entrepot::pull
