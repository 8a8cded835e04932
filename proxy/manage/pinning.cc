#include "proxy/manage/pinning.h"

#include <functional>
#include <optional>

#include "cache/inventory.h"

namespace entrepot::manage {
namespace {

constexpr size_t kPage = 256;
constexpr int kMaxTries = 3;  // while something of it is evicted as it is looked at

Status for_each_image(cache::Inventory inventory, const PinRequest& request,
                      const std::function<Status(const cache::Image&)>& visit) {
  for (const cache::ImageSelection& selection : request.selections) {
    std::optional<cache::ImageName> after;
    while (true) {
      ENTREPOT_TRY_ASSIGN(std::vector<cache::Image> page, inventory.list(selection, after, kPage));
      if (page.empty()) break;
      after = page.back().name;
      for (const cache::Image& image : page) {
        if (request.is_ending != nullptr && *request.is_ending)
          return fail(Errc::shutting_down, "the rest was left as it is");
        ENTREPOT_TRY(visit(image));
      }
    }
  }
  return {};
}

Result<PinReport::Pinned> pin_image(cache::Cache& cache, const cache::Image& image, WallTime now,
                                    bool is_dry_run) {
  for (int tries = 1;; ++tries) {
    ENTREPOT_TRY_ASSIGN(cache::Inventory::Pin found, cache.inventory().find_pin(image));
    if (found.blobs.empty() || found.blobs.front() != image.manifest)
      return fail(Errc::manifest_unknown, "the manifest of " + image.name.text() + " is not in the cache");
    PinReport::Pinned pinned{image.name.text(), image.manifest, found.blobs.size(), found.bytes,
                             found.missing};
    if (is_dry_run) return pinned;
    cache::Commit commit;
    commit.pins = std::move(found.blobs);
    commit.image_pins.push_back({image.manifest, true, now});
    Status committed = cache.commit_and_wait(std::move(commit));
    if (committed) return pinned;
    if (committed.error().code != Errc::blob_unknown || tries >= kMaxTries) return fail(committed.error());
  }
}

}  // namespace

Result<PinReport> pin(cache::Cache& cache, const PinRequest& request, WallTime now) {
  PinReport report;
  ENTREPOT_TRY(for_each_image(cache.inventory(), request, [&](const cache::Image& image) -> Status {
    ENTREPOT_TRY_ASSIGN(PinReport::Pinned pinned, pin_image(cache, image, now, request.is_dry_run));
    report.images.push_back(std::move(pinned));
    return {};
  }));
  return report;
}

Result<PinReport> unpin(cache::Cache& cache, const PinRequest& request) {
  PinReport report;
  ENTREPOT_TRY(for_each_image(cache.inventory(), request, [&](const cache::Image& image) -> Status {
    if (!image.is_pinned) return {};
    cache::Commit commit;
    ENTREPOT_TRY_ASSIGN(commit.unpins, cache.inventory().find_unpin(image.manifest));
    commit.image_pins.push_back({image.manifest, false, {}});
    report.images.push_back({image.name.text(), image.manifest, commit.unpins.size(), 0, image.missing});
    return request.is_dry_run ? Status() : cache.commit_and_wait(std::move(commit));
  }));
  return report;
}

}  // namespace entrepot::manage
