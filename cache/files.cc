#include "cache/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/hasher.h"

namespace entrepot::cache {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

}  // namespace

Result<UniqueFd> open_file(int directory, const std::string& name, int flags) {
  int fd = ::openat(directory, name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, kFileMode);
  if (fd < 0) return fail(system_error("cannot open " + name, errno));
  return UniqueFd(fd);
}

Result<UniqueFd> open_directory(int parent, const std::string& name) {
  return open_file(parent, name, O_RDONLY | O_DIRECTORY);
}

Result<bool> make_directory(int parent, const std::string& name) {
  if (::mkdirat(parent, name.c_str(), kDirectoryMode) == 0) return true;
  if (errno == EEXIST) return false;
  return fail(system_error("cannot make directory " + name, errno));
}

Status write_at(int fd, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail(system_error("write", errno));
    }
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return {};
}

Result<size_t> read_at(int fd, char* into, size_t size, uint64_t offset) {
  size_t at = 0;
  while (at < size) {
    ssize_t got = ::pread(fd, into + at, size - at, static_cast<off_t>(offset + at));
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail(system_error("read", errno));
    }
    if (got == 0) break;
    at += static_cast<size_t>(got);
  }
  return at;
}

uint64_t content_prefix(int fd) {
  if (::lseek(fd, 0, SEEK_DATA) != 0) return 0;
  off_t hole = ::lseek(fd, 0, SEEK_HOLE);
  return hole < 0 ? 0 : static_cast<uint64_t>(hole);
}

uint64_t content_bytes(int fd) {
  uint64_t total = 0;
  off_t at = 0;
  while (true) {
    off_t data = ::lseek(fd, at, SEEK_DATA);
    at = data < 0 ? -1 : ::lseek(fd, data, SEEK_HOLE);
    if (at <= data) return total;
    total += static_cast<uint64_t>(at - data);
  }
}

Status truncate(int fd, uint64_t size) {
  if (::ftruncate(fd, static_cast<off_t>(size)) == 0) return {};
  return fail(system_error("truncate", errno));
}

Result<std::string> read_file(int fd, uint64_t limit) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return fail(system_error("stat", errno));
  std::string bytes(std::min(limit, static_cast<uint64_t>(status.st_size)), '\0');
  ENTREPOT_TRY_ASSIGN(size_t count, read_at(fd, bytes.data(), bytes.size(), 0));
  bytes.resize(count);
  return bytes;
}

Result<Digest> hash_file(int fd, DigestAlgorithm algorithm, const std::function<void()>& on_piece) {
  constexpr size_t kReadAtOnce = 256u << 10;
  Hasher hasher(algorithm);
  std::string buffer(kReadAtOnce, '\0');
  for (uint64_t at = 0;;) {
    ENTREPOT_TRY_ASSIGN(size_t count, read_at(fd, buffer.data(), buffer.size(), at));
    if (count == 0) return hasher.finish();
    hasher.update(std::string_view(buffer).substr(0, count));
    at += count;
    if (on_piece) on_piece();
  }
}

Status sync_data(int fd, const std::string& what) {
  if (::fdatasync(fd) != 0) return fail(system_error("fdatasync of " + what, errno));
  return {};
}

Status sync_directory(int fd, const std::string& what) {
  if (::fsync(fd) != 0) return fail(system_error("fsync of directory " + what, errno));
  return {};
}

Result<bool> remove_name(int directory, const std::string& name) {
  if (::unlinkat(directory, name.c_str(), 0) == 0) return true;
  if (errno == ENOENT) return false;
  return fail(system_error("cannot remove " + name, errno));
}

Result<bool> clear_name(int directory, const std::string& name) {
  if (::unlinkat(directory, name.c_str(), 0) == 0) return true;
  if (errno == ENOENT) return false;
  bool is_directory = errno == EISDIR || errno == EPERM;  // EPERM by POSIX
  if (is_directory && ::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0) return true;
  bool holds_something = errno == ENOTEMPTY || errno == EEXIST;
  if (holds_something && ::renameat(directory, name.c_str(), directory, (name + ".not-ours").c_str()) == 0)
    return true;
  return fail(system_error("cannot remove " + name, errno));
}

Result<std::vector<std::string>> list_directory(int directory) {
  // A descriptor of its own: reading a directory moves the offset, which a dup would share.
  int own = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own < 0) return fail(system_error("cannot open a directory for reading", errno));
  auto close_stream = [](DIR* stream) { ::closedir(stream); };
  std::unique_ptr<DIR, decltype(close_stream)> stream(::fdopendir(own), close_stream);
  if (!stream) {
    int error = errno;
    ::close(own);
    return fail(system_error("cannot read a directory", error));
  }
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  if (errno != 0) return fail(system_error("cannot read a directory", errno));
  return names;
}

uint64_t counted_bytes(const struct stat& status) {
  return std::max(disk_bytes(status), round_up_to_block(static_cast<uint64_t>(status.st_size)));
}

uint64_t counted_bytes(int fd) {
  struct stat status;
  return ::fstat(fd, &status) == 0 ? counted_bytes(status) : 0;
}

uint64_t disk_bytes(int fd) {
  struct stat status;
  return ::fstat(fd, &status) == 0 ? disk_bytes(status) : 0;
}

}  // namespace entrepot::cache
