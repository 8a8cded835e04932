#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "base/task/task.h"
#include "upstream/transport.h"

namespace entrepot::upstream {

/// The whole body of a small answer, of which `expected` bytes are announced. upstream_failed when it is
/// larger than `limit`. `transfer` outlives the Task.
Task<Result<std::string>> read_whole(Transfer& transfer, size_t limit, uint64_t expected = 0);

}  // namespace entrepot::upstream
