#include "cache/lmdb_data_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "cache/files.h"

namespace entrepot::cache {
namespace {

// Layout of a meta page of LMDB 0.9 on a 64-bit machine (mdb.c: MDB_page, MDB_meta, MDB_db), in the machine's
// byte order.
constexpr uint32_t kMagic = 0xBEEFC0DE;
constexpr uint32_t kDataVersion = 1;
constexpr size_t kPageHeader = 16;
constexpr size_t kMagicAt = kPageHeader;
constexpr size_t kVersionAt = kPageHeader + 4;
constexpr size_t kPageSizeAt = kPageHeader + 24;  // mm_dbs[FREE_DBI].md_pad
constexpr size_t kLastPageAt = kPageHeader + 24 + 2 * 48;
constexpr size_t kMetaEnd = kLastPageAt + 16;

struct Meta {
  uint32_t page_size;
  uint64_t last_page;
};

template <class T>
T field(const std::string& page, size_t at) {
  T value;
  std::memcpy(&value, page.data() + at, sizeof value);
  return value;
}

std::optional<Meta> read_meta(int fd, uint64_t offset) {
  std::string page(kMetaEnd, '\0');
  ssize_t got = ::pread(fd, page.data(), page.size(), static_cast<off_t>(offset));
  if (got != static_cast<ssize_t>(page.size())) return std::nullopt;
  if (field<uint32_t>(page, kMagicAt) != kMagic) return std::nullopt;
  if ((field<uint32_t>(page, kVersionAt)) != kDataVersion) return std::nullopt;
  Meta meta{field<uint32_t>(page, kPageSizeAt), field<uint64_t>(page, kLastPageAt)};
  bool is_power_of_two = (meta.page_size & (meta.page_size - 1)) == 0;
  if (meta.page_size < 512 || meta.page_size > 65536 || !is_power_of_two) return std::nullopt;
  return meta;
}

}  // namespace

Result<DataFile> inspect_data_file(int index_directory) {
  int fd = ::openat(index_directory, "data.mdb", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return DataFile::missing;
  if (fd < 0 && errno == ELOOP) return DataFile::damaged;
  if (fd < 0) return fail(system_error("cannot open index/data.mdb", errno));
  UniqueFd file(fd);
  struct stat status;
  if (::fstat(fd, &status) != 0) return fail(system_error("cannot stat index/data.mdb", errno));
  if (!S_ISREG(status.st_mode)) return DataFile::damaged;
  if (status.st_size == 0) return DataFile::missing;

  std::optional<Meta> first = read_meta(fd, 0);
  if (!first) return DataFile::damaged;
  std::optional<Meta> second = read_meta(fd, first->page_size);
  if (!second || second->page_size != first->page_size) return DataFile::damaged;
  // LMDB may fall back on either meta page, so both must be covered.
  uint64_t pages = static_cast<uint64_t>(status.st_size) / first->page_size;
  bool is_covered = first->last_page < pages && second->last_page < pages;
  return is_covered ? DataFile::sound : DataFile::damaged;
}

}  // namespace entrepot::cache
