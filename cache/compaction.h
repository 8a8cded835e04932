#pragma once

#include "base/result.h"
#include "cache/index.h"
#include "cache/refs_log.h"

namespace entrepot::cache {

/// BLOCKING. Rewrites refs.log from what the index holds: tags, links, manifests, pins. The next index commit
/// must store the log's new position. Used when the log has grown to twice its size, when it could not be
/// written, and after a rebuild.
Status compact_refs_log(const Index& index, RefsLog& log);

/// Whether it is worth it.
bool is_compaction_due(const RefsLog& log);

}  // namespace entrepot::cache
