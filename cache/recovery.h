#pragma once

#include <cstdint>
#include <vector>

#include "base/log.h"
#include "cache/blob_files.h"
#include "cache/index.h"
#include "cache/parts_directory.h"
#include "cache/refs_log.h"

namespace entrepot::cache {

struct LeftoverPart {
  Digest digest;
  uint64_t disk_bytes = 0;
  bool is_recent = false;  // it was written to in the last run
};

/// BLOCKING, before the index writer runs. Finishes what a crash interrupted, looking at parts/ and at doomed
/// rows alone:
/// - a part whose file has its final name already was verified and synced: its blob is committed, the part's
/// name removed;
/// - a part of a blob that is committed is removed;
/// - all other parts are kept and returned; `last_start` is when the last run began;
/// - the files of doomed rows are removed, then the rows.
/// `this_run`: when this run began; nothing: it is none.
struct Recovered {
  std::vector<LeftoverPart> parts;
  /// The last stop was not clean: since then blobs have been written of which no clean stop knows.
  std::optional<WallTime> unclean_since;
};
Result<Recovered> recover(Index& index, BlobFiles& blobs, PartsDirectory& parts, const RefsLog& log,
                          struct timespec last_start, std::optional<WallTime> this_run, Logger& logger);
/// BLOCKING, after the index writer has ended, in an orderly way: the next start need not be wary.
Status note_clean_stop(Index& index);

}  // namespace entrepot::cache
