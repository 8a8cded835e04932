#include "proxy/pull/puller.h"

#include <functional>

#include "base/disk/run_on_disk.h"
#include "base/loop/call_on.h"

namespace entrepot::pull {

Puller::Puller(Context context)
    : context_(context),
      misses_(context_.loops.size()),
      fills_(context_),
      blobs_(context_, *this),
      manifests_(context_, *this),
      tags_(context_, *this),
      listings_(context_, *this) {}

void Puller::connect(std::span<Puller* const> siblings) {
  siblings_.assign(siblings.begin(), siblings.end());
}

EventLoop& Puller::home_of_tag(const cache::Repository& repository, const std::string& tag) const {
  std::hash<std::string> hash;
  return context_.loops.home_of(hash(repository.upstream) * 31 * 31 + hash(repository.name) * 31 + hash(tag));
}

Status Puller::may_ask_for(const std::string& client) const {
  if (client.empty()) return {};
  Duration wait = misses_.wait_of(client, context_.loop.clock().monotonic());
  if (wait == Duration::zero()) return {};
  auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
  return fail(Error{Errc::client_rate_limited,
                    "too many names that do not exist were asked for from your address",
                    static_cast<int>(seconds)});
}

Task<Result<ObjectState>> Puller::state_of(Digest digest) {
  EventLoop& home = home_of(digest);
  Puller& there = at(home);
  auto ask = [&there, digest] { return there.state_at_home(digest); };
  co_return co_await call_on<Result<ObjectState>>(home, context_.loop, std::move(ask));
}

Task<Result<ObjectState>> Puller::state_at_home(Digest digest) {
  auto look = [&cache = context_.cache, digest] { return cache.is_acknowledged(digest); };
  Result<bool> is_committed =
      co_await run_on_disk(context_.look_ups, context_.loop, "is acknowledged", std::move(look));
  if (!is_committed) co_return fail(is_committed.error());
  if (*is_committed) co_return ObjectState::committed;
  bool is_filling = fills_.is_filling(digest) || manifests_.is_fetching(digest);
  co_return is_filling ? ObjectState::filling : ObjectState::absent;
}

}  // namespace entrepot::pull
