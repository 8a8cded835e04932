#include "proxy/warm/prefetcher.h"

#include <algorithm>
#include <utility>

#include "proxy/warm/image_fetch.h"

namespace entrepot::warm {
namespace {

constexpr const char* kMetric = "entrepot_prefetches_total";
constexpr const char* kHelp = "Images that push events announced, by what came of fetching them";

}  // namespace

Prefetcher::Prefetcher(pull::Puller& puller, Metrics& metrics)
    : puller_(puller),
      loop_(puller.context().loop),
      logger_(puller.context().logger),
      done_(metrics.counter(kMetric, kHelp, {{"result", "done"}})),
      failed_(metrics.counter(kMetric, kHelp, {{"result", "failed"}})),
      dropped_(metrics.counter(kMetric, kHelp, {{"result", "dropped"}})) {}

void Prefetcher::want(cache::Repository repository, std::string tag) {
  loop_.post([this, wish = Wish{std::move(repository), std::move(tag)}]() mutable { add(std::move(wish)); });
}

void Prefetcher::stop() {
  loop_.post([this] {
    is_stopped_ = true;
    waiting_.clear();
  });
}

void Prefetcher::add(Wish wish) {
  if (is_stopped_ || std::ranges::find(waiting_, wish) != waiting_.end()) return;
  if (waiting_.size() >= kMaxWaiting) {
    dropped_.add();
    logger_.warn("{}/{}:{} is not prefetched: {} others wait", wish.repository.upstream, wish.repository.name,
                 wish.tag, waiting_.size());
    return;
  }
  waiting_.push_back(std::move(wish));
  if (!std::exchange(is_running_, true)) loop_.spawn(run(*this));
}

Task<void> Prefetcher::run(Prefetcher& self) {
  while (!self.waiting_.empty()) {
    Wish wish = std::move(self.waiting_.front());
    self.waiting_.pop_front();
    co_await self.fetch(std::move(wish));
  }
  self.is_running_ = false;
}

Task<void> Prefetcher::fetch(Wish wish) {
  const std::string name = wish.repository.upstream + "/" + wish.repository.name + ":" + wish.tag;
  ImageFetch image(puller_, std::move(wish.repository));
  Result<FetchedImage> fetched = co_await image.fetch(std::move(wish.tag));
  if (!fetched) {
    failed_.add();
    if (!is_stopped_) logger_.warn("{} could not be prefetched: {}", name, fetched.error().message);
    co_return;
  }
  done_.add();
  logger_.info(
      "prefetched {}: {} manifests, {} blobs; {} of them new ({} bytes of blobs), {} missing upstream", name,
      fetched->manifests, fetched->blobs, fetched->fetched, fetched->bytes, fetched->missing);
}

}  // namespace entrepot::warm
