#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "base/unique_fd.h"

// The few file-system calls that the cache makes, with EINTR and short counts taken care of and errno turned
// into a Result. All BLOCKING. Names are relative to an open directory, so that a directory that is mounted
// over or renamed while we run is never written to by accident.

namespace entrepot::cache {

/// open(2) with O_CLOEXEC and O_NOFOLLOW; new files are readable by us alone.
Result<UniqueFd> open_file(int directory, const std::string& name, int flags);
Result<UniqueFd> open_directory(int parent, const std::string& name);
/// True when it was made now.
Result<bool> make_directory(int parent, const std::string& name);

Status write_at(int fd, std::string_view bytes, uint64_t offset);
/// As many bytes as `into` has room for, or as there are.
Result<size_t> read_at(int fd, char* into, size_t size, uint64_t offset);
/// How far the file has content from its start without a hole; blocks that were never written are none.
uint64_t content_prefix(int fd);
/// All content, wherever it is; in whole blocks.
uint64_t content_bytes(int fd);
Status truncate(int fd, uint64_t size);
/// What the file holds from its start, at most `limit` bytes.
Result<std::string> read_file(int fd, uint64_t limit);
/// The digest of all that the file holds.
Result<Digest> hash_file(int fd, DigestAlgorithm algorithm, const std::function<void()>& on_piece = {});

/// A failed sync is never retried: the kernel has dropped the dirty pages, a second call would lie.
Status sync_data(int fd, const std::string& what);
Status sync_directory(int fd, const std::string& what);

/// True when there was such a name.
Result<bool> remove_name(int directory, const std::string& name);
/// The same for a name that should be a file's and may be anything: an empty directory is removed, and one
/// that holds something, which is not ours to remove, gets another name (`<name>.not-ours`).
Result<bool> clear_name(int directory, const std::string& name);
/// Entry names, without "." and "..".
Result<std::vector<std::string>> list_directory(int directory);

/// Bytes as the file system counts them.
inline uint64_t disk_bytes(const struct stat& status) {
  return static_cast<uint64_t>(status.st_blocks) * 512;
}
/// Of an open file or directory; 0 when it cannot be asked.
uint64_t disk_bytes(int fd);
/// What a file of content counts as in the budget. Its blocks; but some file systems tell them seconds after
/// a sync (ZFS), or compress, so not less than its length.
uint64_t counted_bytes(const struct stat& status);
uint64_t counted_bytes(int fd);
/// What `length` bytes of content take at most, by blocks of 4096 bytes.
constexpr uint64_t round_up_to_block(uint64_t length) { return (length + 4095) / 4096 * 4096; }

}  // namespace entrepot::cache
