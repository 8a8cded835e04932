#pragma once

#include <cstdint>

// sendfile(2) sleeps when a page of the file is not in memory, and a loop must not sleep. So each window is
// looked at first and, when it is cold, read into the page cache by the disk pool.

namespace entrepot::http {

/// How far a look reaches.
inline constexpr uint64_t kFileWindow = 512 * 1024;
/// How much is warmed at once.
inline constexpr uint64_t kWarmWindow = 1024 * 1024;

/// Bytes [begin, end) are in memory, as far as a look at one byte in 32 KiB can tell: pages come and go in
/// larger runs. Never sleeps. False also where the file system cannot say.
bool is_window_warm(int fd, uint64_t begin, uint64_t end);

/// Reads bytes [begin, end) into the page cache and asks for as much again. Sleeps: for the disk pool. False
/// when they cannot be read.
bool warm_window(int fd, uint64_t begin, uint64_t end);

}  // namespace entrepot::http
