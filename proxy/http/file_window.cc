#include "proxy/http/file_window.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace entrepot::http {
namespace {

constexpr uint64_t kSampleStride = 32 * 1024;
constexpr uint64_t kPageStride = 4 * 1024;
constexpr std::chrono::seconds kCarefulFor{2};
constexpr size_t kReadBytes = 128 * 1024;

bool is_byte_warm(int fd, uint64_t at) {
  char byte;
  iovec piece{&byte, 1};
  // A second look: a page in memory may refuse once, when reading it is what starts the read-ahead behind it.
  for (int look = 0; look < 2; ++look) {
    if (preadv2(fd, &piece, 1, static_cast<off_t>(at), RWF_NOWAIT) >= 0) return true;
    if (errno != EAGAIN) break;
  }
  // tmpfs cannot say, but is in memory.
  struct statfs system {};
  return errno == EOPNOTSUPP && fstatfs(fd, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

}  // namespace

bool is_window_warm(int fd, uint64_t begin, uint64_t end, Look look) {
  if (begin >= end) return true;
  const uint64_t stride = look == Look::samples ? kSampleStride : kPageStride;
  for (uint64_t at = begin; at < end; at += stride)
    if (!is_byte_warm(fd, at)) return false;
  return is_byte_warm(fd, end - 1);
}

bool warm_window(int fd, uint64_t begin, uint64_t end) {
  readahead(fd, static_cast<off_t>(begin), static_cast<size_t>(2 * (end - begin)));
  auto buffer = std::make_unique_for_overwrite<char[]>(kReadBytes);
  for (uint64_t at = begin; at < end;) {
    size_t wanted = static_cast<size_t>(std::min<uint64_t>(end - at, kReadBytes));
    ssize_t got = pread(fd, buffer.get(), wanted, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += static_cast<uint64_t>(got);
  }
  return true;
}

Look ColdWatch::look(MonotonicTime now) const {
  MonotonicTime::rep last = last_;
  if (last == 0) return Look::samples;
  return now - MonotonicTime(MonotonicTime::duration(last)) < kCarefulFor ? Look::every_page : Look::samples;
}

}  // namespace entrepot::http
