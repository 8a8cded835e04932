#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"

// sendfile(2) sleeps when a page of the file is not in memory, and a loop must not sleep. So each window is
// looked at first and, when it is cold, read into the page cache by the disk pool.

namespace entrepot::http {

/// How far a look reaches.
inline constexpr uint64_t kFileWindow = 512 * 1024;
/// How much is warmed at once.
inline constexpr uint64_t kWarmWindow = 1024 * 1024;

/// How close. `samples`: one byte in 32 KiB, enough while pages only go, which they do in larger runs.
/// `every_page`: while something is being read from disk, since pages come one by one.
enum class Look { samples, every_page };

/// Bytes [begin, end) are in memory. Never sleeps. False also where the file system cannot say.
bool is_window_warm(int fd, uint64_t begin, uint64_t end, Look look);

/// Reads bytes [begin, end) into the page cache and asks for as much again. Sleeps: for the disk pool. False
/// when they cannot be read.
bool warm_window(int fd, uint64_t begin, uint64_t end);

/// Remembers when a cold window was last seen, by whichever loop. Any thread.
class ColdWatch {
 public:
  void saw_cold(MonotonicTime now) { last_ = now.time_since_epoch().count(); }
  Look look(MonotonicTime now) const;

 private:
  std::atomic<MonotonicTime::rep> last_{0};
};

}  // namespace entrepot::http
