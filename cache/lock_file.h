#pragma once

#include <ctime>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace entrepot::cache {

/// The version of everything in the directory: file names, tables, records. docs/cache-format.md describes
/// it.
inline constexpr unsigned kFormat = 1;

/// BLOCKING, half a second at most. Takes `LOCK` by flock(2), for as long as the descriptor lives: two
/// processes would each keep their own budget. The error says that the directory is in use. `directory` is
/// open.
Result<UniqueFd> take_lock(int directory, const std::string& shown);

/// When the last run began: the time of the file `LOCK`, which is set anew. REQUIRES: the lock is held.
Result<struct timespec> begin_run(int lock);
/// BLOCKING. When the last run began.
Result<struct timespec> last_run(int lock);

/// Reads `FORMAT`, or writes it when there is none. A newer version is refused with a message, since an older
/// program cannot know what it would break.
Status check_format(int directory, const std::string& shown);

}  // namespace entrepot::cache
