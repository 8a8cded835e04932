#include "proxy/warm/healer.h"

#include <utility>

#include "base/loop/sleep.h"

namespace entrepot::warm {
namespace {

constexpr const char* kMetric = "entrepot_scrub_healed_total";
constexpr Duration kBetweenLooks{20};
constexpr Duration kPatience{30'000};
constexpr const char* kHelp = "Damaged blobs, by what came of fetching them again";

}  // namespace

Healer::Healer(pull::Puller& puller, Metrics& metrics)
    : puller_(puller),
      loop_(puller.context().loop),
      logger_(puller.context().logger),
      healed_(metrics.counter(kMetric, kHelp, {{"result", "healed"}})),
      failed_(metrics.counter(kMetric, kHelp, {{"result", "failed"}})) {}

void Healer::heal(cache::DamagedBlob damaged) {
  loop_.post([this, damaged = std::move(damaged)]() mutable { add(std::move(damaged)); });
}

void Healer::stop() {
  loop_.post([this] {
    is_stopped_ = true;
    waiting_.clear();
  });
}

void Healer::add(cache::DamagedBlob damaged) {
  if (is_stopped_ || waiting_.size() >= kMaxWaiting) return;
  waiting_.push_back(std::move(damaged));
  if (running_ == kAtOnce) return;
  ++running_;
  loop_.spawn(run(*this));
}

Task<void> Healer::run(Healer& self) {
  while (!self.waiting_.empty()) {
    cache::DamagedBlob damaged = std::move(self.waiting_.front());
    self.waiting_.pop_front();
    co_await self.fetch(std::move(damaged));
  }
  --self.running_;
}

Task<void> Healer::fetch(cache::DamagedBlob damaged) {
  const std::string name = damaged.digest.text();
  Error last{Errc::blob_unknown, "no repository holds it"};
  for (const cache::Repository& holder : damaged.holders) {
    cache::Repository repository = holder;
    Status fetched = co_await fetch_from(std::move(repository), damaged.digest, damaged.is_manifest);
    if (!fetched) {
      last = std::move(fetched).error();
      continue;
    }
    healed_.add();
    logger_.info("{} was fetched again from {}/{}", name, holder.upstream, holder.name);
    co_return;
  }
  failed_.add();
  if (!is_stopped_) logger_.warn("{} was damaged, and could not be fetched again: {}", name, last.message);
}

Task<Status> Healer::fetch_from(cache::Repository repository, Digest digest, bool is_manifest) {
  if (is_manifest) {
    Result<pull::PulledManifest> manifest = co_await puller_.manifests().get(std::move(repository), digest);
    if (!manifest) co_return fail(std::move(manifest).error());
    co_return co_await wait_stored(std::move(digest));
  }
  Result<pull::OpenBlob> blob = co_await puller_.blobs().open(std::move(repository), digest);
  if (!blob) co_return fail(std::move(blob).error());
  if (blob->bypass != nullptr) co_return fail(Errc::disk_full, "the cache cannot hold it");
  if (!blob->fill) co_return Status();
  Result<uint64_t> size = co_await blob->fill->wait_verified();
  if (!size) co_return fail(std::move(size).error());
  co_return co_await wait_stored(std::move(digest));
}

// What was fetched may still not be stored.
Task<Status> Healer::wait_stored(Digest digest) {
  MonotonicTime end = loop_.clock().monotonic() + kPatience;
  // Absent once: it may have come into the index between the two places that were looked at.
  for (int absences = 0; absences < 2;) {
    Result<pull::ObjectState> state = co_await puller_.state_of(digest);
    if (!state) co_return fail(std::move(state).error());
    if (*state == pull::ObjectState::committed) co_return Status();
    if (*state == pull::ObjectState::absent) ++absences;
    if (is_stopped_ || loop_.clock().monotonic() > end) break;
    co_await sleep_on(loop_, kBetweenLooks);
  }
  co_return fail(Errc::io_error, "it could not be stored");
}

}  // namespace entrepot::warm
