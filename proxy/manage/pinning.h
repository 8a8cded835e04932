#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cache/cache.h"

namespace entrepot::manage {

struct PinRequest {
  std::vector<cache::ImageSelection> selections;
  bool is_dry_run = false;
  const std::atomic<bool>* is_ending = nullptr;  // when it becomes true, the rest is left
};

struct PinReport {
  struct Pinned {
    std::string name;
    Digest manifest;
    uint64_t blobs = 0;    // manifests and blobs that are pinned now, or are pinned no more
    uint64_t bytes = 0;    // of a pin
    uint64_t missing = 0;  // named by the image, and not here
  };
  std::vector<Pinned> images;
};

/// BLOCKING. Pins every image that is selected, with all of it that is here, and what refers to it: durable
/// when it returns. Errors: manifest_unknown for an image whose manifest is not here any more; nothing
/// further is pinned then.
Result<PinReport> pin(cache::Cache& cache, const PinRequest& request, WallTime now);
/// BLOCKING. Whatever no other pinned image needs may be evicted again. Images that are not pinned are left
/// out of the report.
Result<PinReport> unpin(cache::Cache& cache, const PinRequest& request);

}  // namespace entrepot::manage
