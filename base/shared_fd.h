#pragma once

#include <memory>

#include "base/unique_fd.h"

namespace entrepot {

/// A descriptor that several readers share: closed when the last lets go. Answers are sent from these by
/// `sendfile(2)` and `pread(2)` with explicit offsets, so sharing needs no care. A blob that was evicted
/// meanwhile keeps its bytes until then.
using SharedFd = std::shared_ptr<const UniqueFd>;

}  // namespace entrepot
