#pragma once

#include "base/log.h"
#include "cache/blob_files.h"
#include "cache/index.h"
#include "cache/refs_log.h"

namespace entrepot::cache {

/// BLOCKING, as long as looking at every name in blobs/ takes. Fills an empty index from the blobs' files and
/// from what refs.log says of them; then rewrites the log. The blobs have yet to prove themselves by their
/// names: that takes as long as reading all of them, and is done by whoever needs one, and by the scrub
/// (DoubtfulBlobs).
/// Cut short at any moment, it is begun again at the next start: the index is marked complete last.
/// `directory` is the cache's.
Status rebuild(int directory, Index& index, BlobFiles& blobs, RefsLog& log, Logger& logger);

}  // namespace entrepot::cache
