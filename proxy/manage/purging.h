#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cache/cache.h"

namespace entrepot::manage {

struct PurgeRequest {
  std::vector<cache::ImageSelection> selections;
  bool is_dry_run = false;
  const std::atomic<bool>* is_ending = nullptr;  // when it becomes true, the purge is left off
};

struct PurgeReport {
  uint64_t images = 0;
  uint64_t pinned = 0;             // selected, and kept
  uint64_t removals = 0;           // of something from a repository
  uint64_t blobs = 0;              // that went altogether
  uint64_t disk_bytes = 0;         // of these
  std::vector<std::string> names;  // of images that went, at most kMaxNames
  std::vector<std::string> kept;   // of pinned ones, at most kMaxNames
};
inline constexpr size_t kMaxNames = 1000;

/// Which tags of a repository have gone: whoever remembers them is to forget. Called before the purge gives
/// back, after they are durable.
using OnPurged = std::function<void(const cache::Repository&, const std::vector<std::string>& tags)>;

/// BLOCKING. Takes away what is selected, a repository at a time. A failure in the middle leaves the rest.
Result<PurgeReport> purge(cache::Cache& cache, const PurgeRequest& request, const OnPurged& on_purged);

}  // namespace entrepot::manage
