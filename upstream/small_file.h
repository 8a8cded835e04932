#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "base/secret.h"

namespace entrepot::upstream {

/// What a regular file holds, which may be secret. BLOCKING. io_error, naming the file: it can't be read, is
/// no regular file, or larger than `limit` bytes.
Result<Secret> read_small_file(const std::string& path, size_t limit);

}  // namespace entrepot::upstream
