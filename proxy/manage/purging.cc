#include "proxy/manage/purging.h"

#include <algorithm>
#include <optional>

#include "cache/inventory.h"

namespace entrepot::manage {
namespace {

constexpr size_t kAtOnce = 128;  // in a transaction, which others wait for

void add_names(const std::vector<cache::Image>& images, std::vector<std::string>& names) {
  for (const cache::Image& image : images)
    if (names.size() < kMaxNames) names.push_back(image.name.text());
}

template <class T>
Status commit_slices(cache::Cache& cache, std::vector<T>& all, std::vector<T> cache::Commit::*slice,
                     const std::atomic<bool>* is_ending) {
  for (size_t begin = 0; begin < all.size(); begin += kAtOnce) {
    if (is_ending != nullptr && *is_ending) return fail(Errc::shutting_down, "the purge was left off");
    size_t end = std::min(begin + kAtOnce, all.size());
    cache::Commit commit;
    for (size_t i = begin; i < end; ++i) (commit.*slice).push_back(std::move(all[i]));
    ENTREPOT_TRY(cache.commit_and_wait(std::move(commit)));
  }
  return {};
}

Status carry_out(cache::Cache& cache, const cache::Repository& repository, cache::Inventory::Purge& found,
                 const OnPurged& on_purged, const std::atomic<bool>* is_ending) {
  std::vector<std::string> tags;
  for (const cache::Commit::TagRemoval& removal : found.tags) tags.push_back(removal.tag);
  ENTREPOT_TRY(commit_slices(cache, found.removals, &cache::Commit::removals, is_ending));
  ENTREPOT_TRY(commit_slices(cache, found.tags, &cache::Commit::tag_removals, is_ending));
  if (on_purged) on_purged(repository, tags);
  return {};
}

}  // namespace

Result<PurgeReport> purge(cache::Cache& cache, const PurgeRequest& request, const OnPurged& on_purged) {
  struct Purging {
    cache::Cache& cache;
    explicit Purging(cache::Cache& the_cache) : cache(the_cache) { cache.set_purging(true); }
    ~Purging() { cache.set_purging(false); }
  } purging(cache);
  // A transaction that began before may not know of it yet.
  ENTREPOT_TRY(cache.commit_and_wait({}));
  PurgeReport report;
  cache::Inventory inventory = cache.inventory();
  cache::Inventory::RemovedLinks removed;
  for (const cache::ImageSelection& selection : request.selections) {
    std::optional<cache::Repository> repository;
    while (true) {
      ENTREPOT_TRY_ASSIGN(repository, inventory.next_repository(selection, repository));
      if (!repository) break;
      ENTREPOT_TRY_ASSIGN(cache::Inventory::Purge found, inventory.find_purge(*repository, selection));
      ENTREPOT_TRY_ASSIGN(cache::Inventory::Freed freed, inventory.find_freed(found.removals, removed));
      report.images += found.images.size();
      report.pinned += found.pinned.size();
      report.removals += found.removals.size();
      report.blobs += freed.blobs;
      report.disk_bytes += freed.disk_bytes;
      add_names(found.images, report.names);
      add_names(found.pinned, report.kept);
      if (request.is_dry_run) continue;
      removed.clear();  // they are gone indeed
      ENTREPOT_TRY(carry_out(cache, *repository, found, on_purged, request.is_ending));
    }
  }
  return report;
}

}  // namespace entrepot::manage
