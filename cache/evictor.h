#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "cache/blob_files.h"
#include "cache/file_use.h"
#include "cache/index_update.h"
#include "cache/ledger.h"
#include "cache/parts_directory.h"
#include "cache/room.h"

namespace entrepot::cache {

/// Decides how much has to go and what, and takes it away. Belongs to the index writer's thread. One slice at
/// a time, so that commits are not held up:
///
///     choose (rows become doomed in the writer's transaction) → commit → take_away (unlink, fsync) → the
///     next transaction removes the rows
///
/// The bytes stay counted until the file is gone, and as long as somebody has it open.
class Evictor {
 public:
  struct Doomed {
    Digest digest;
    uint64_t disk_bytes = 0;
    bool is_evicted = false;  // for its room; else somebody has purged it, or it was damaged
  };
  struct Surroundings {
    Ledger& ledger;
    Room& room;
    PartsDirectory& parts;
    BlobFiles& blobs;
    OpenFiles& open_files;
    Logger& logger;
  };

  Evictor(Surroundings surroundings, bool is_offline, Metrics& metrics);

  void set_listener(std::move_only_function<void(const Digest&)> forget) { forget_ = std::move(forget); }

  /// How many bytes must go: from above the high-water mark to the low-water mark, and so that `requested`
  /// more fit. Nothing is evicted for a request that would not fit even without all that may be evicted.
  uint64_t bytes_to_evict(uint64_t requested, const StateRow& state) const;
  /// Whether there is no use in waiting for room for `requested`: neither evicting nor the closing of removed
  /// files that are still open can make it. `can_evict` says that there is something left to evict.
  bool is_hopeless(uint64_t requested, const StateRow& state, bool can_evict) const;

  struct Choice {
    std::vector<Doomed> doomed;
    bool has_progress = false;  // something was doomed, or a part removed
  };
  /// The least recently used blobs and idle parts, of `bytes` together or a slice's number of them. Idle
  /// parts are removed at once, blobs are doomed in `update`.
  Result<Choice> choose(IndexUpdate& update, uint64_t bytes);

  /// BLOCKING. After the commit: tells the listener, removes the files and gives their bytes back. Returns
  /// those that are gone.
  std::vector<Digest> take_away(const std::vector<Doomed>& doomed);
  /// BLOCKING. When the disk is so full that not even dooming can be committed: removes the files first.
  /// Their rows say `committed` until they can be written, their bytes stay counted; a look-up finds nothing
  /// meanwhile.
  void take_away_undoomed(const std::vector<Doomed>& chosen);

 private:
  uint64_t evictable(const StateRow& state) const;

  Surroundings around_;
  const bool is_offline_;
  std::move_only_function<void(const Digest&)> forget_;
  Counter evicted_blobs_;
  Counter evicted_bytes_;
};

}  // namespace entrepot::cache
