#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace entrepot {

/// The bytes of a small file. BLOCKING, but for a pipe nobody writes to. Errors: io_error, naming the file:
/// it can't be read, or holds more than `limit`.
Result<std::string> read_file(const std::string& path, size_t limit);

}  // namespace entrepot
