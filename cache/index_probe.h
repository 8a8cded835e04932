#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace entrepot::cache {

/// BLOCKING. Looks at the index in `path` in a process of its own, for LMDB trusts every page that it walks
/// over: a damaged one may end in SIGBUS or SIGSEGV. Of a large index after a clean stop only at its state;
/// else at all pages, which takes as long as reading the file, a minute at most. What is wrong; "" = nothing
/// that was found. REQUIRES: no environment is open in there.
Result<std::string> probe_index(const std::string& path, uint64_t map_size);

}  // namespace entrepot::cache
