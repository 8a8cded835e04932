#include "proxy/daemon/cache_verbs.h"

#include <utility>

#include "base/disk/run_on_disk.h"
#include "base/loop/call_on.h"

namespace entrepot::daemon {
namespace {

constexpr int kMaxWaiting = 16;

Task<bool> forget_answers(registry::RegistryHandler& handler) {
  handler.forget_all();
  co_return true;
}

}  // namespace

CacheVerbs::CacheVerbs(LoopGroup& loops, DiskPool& pool, cache::Cache& cache,
                       std::span<const upstream::Settings> upstreams, const Clock& clock,
                       std::vector<pull::Puller*> pullers, std::vector<registry::RegistryHandler*> handlers,
                       std::function<void(cache::DamagedBlob)> damaged)
    : loops_(loops),
      pool_(pool),
      pullers_(std::move(pullers)),
      handlers_(std::move(handlers)),
      verbs_(cache, upstreams, clock,
             [&cache] {
               cache::Cache::Limits limits = cache.limits();
               return manage::Verbs::Limits{limits.max_size, limits.min_free, cache.options().offline};
             },
             {.purged = [this](const cache::Repository& repository,
                               const std::vector<std::string>& tags) { forget(repository, tags); },
              .damaged = std::move(damaged)}) {}

Task<Result<std::string>> CacheVerbs::call(EventLoop& loop, std::string verb, std::string request) {
  if (waiting_.fetch_add(1) >= kMaxWaiting) {
    waiting_.fetch_sub(1);
    co_return fail(Errc::overloaded, "too many verbs at once");
  }
  auto work = [this, verb, request = std::move(request)] { return verbs_.perform(verb, request); };
  Result<std::string> answer = co_await run_on_disk(pool_, loop, "verb", std::move(work));
  waiting_.fetch_sub(1);
  if (verb == "purge") co_await finish_forgetting(loop);
  co_return std::move(answer);
}

// The pool's thread.
void CacheVerbs::forget(const cache::Repository& repository, const std::vector<std::string>& tags) {
  for (pull::Puller* puller : pullers_)
    puller->context().loop.post([puller, repository] { puller->listings().announce(repository); });
  for (const std::string& tag : tags) {
    pull::TagRequest request{repository, tag, {}};
    EventLoop& home = pullers_.front()->home_of_tag(repository, tag);
    pull::Tags& tags_there = pullers_.front()->at(home).tags();
    home.post([&tags_there, request = std::move(request)] { tags_there.drop(request); });
  }
}

// What was posted before is done when this comes back.
Task<bool> CacheVerbs::finish_forgetting(EventLoop& loop) {
  for (size_t i = 0; i < loops_.size(); ++i) {
    auto there = [handler = handlers_[i]] { return forget_answers(*handler); };
    EventLoop& home = loops_.at(i);
    co_await call_on<bool>(home, loop, std::move(there));
  }
  co_return true;
}

}  // namespace entrepot::daemon
