#pragma once

#include "base/log.h"
#include "cache/blob_files.h"
#include "cache/index.h"
#include "cache/refs_log.h"

namespace entrepot::cache {

/// BLOCKING, as long as hashing all blobs takes. Fills an empty index from the blobs, which prove themselves
/// by their names (those that don't are removed), and from what refs.log says of them; then rewrites the log.
/// Cut short at any moment, it is begun again at the next start: the index is marked complete last.
/// `directory` is the cache's.
Status rebuild(int directory, Index& index, BlobFiles& blobs, RefsLog& log, Logger& logger);

}  // namespace entrepot::cache
