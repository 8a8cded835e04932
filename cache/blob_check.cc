#include "cache/blob_check.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/uio.h>

#include <algorithm>
#include <utility>

#include "base/hasher.h"
#include "cache/files.h"

namespace entrepot::cache {
namespace {

constexpr size_t kPiece = 256u << 10;
constexpr size_t kSlice = 256;
constexpr size_t kMaxHolders = 8;

}  // namespace

BlobCheck::BlobCheck(Index& index, OpenFiles& uses, BlobFiles& blobs)
    : index_(index), uses_(uses), blobs_(blobs), buffer_(kPiece, '\0') {}

Result<std::vector<BlobCheck::Found>> BlobCheck::slice(std::string& from) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index_.read());
  std::vector<Found> found;
  size_t seen = 0;
  std::string next;
  ENTREPOT_TRY(reader.txn().scan(Table::blob, from, [&](std::string_view key, std::string_view value) {
    if (++seen > kSlice) {
      next = key;
      return false;
    }
    std::optional<Digest> digest = Digest::from_key(key);
    std::optional<BlobRow> row = BlobRow::decode(value, key);
    if (digest && row && row->state == BlobState::committed) found.push_back({*digest, *row});
    return true;
  }));
  from = std::move(next);
  return found;
}

Result<std::vector<BlobCheck::Found>> BlobCheck::youngest(size_t most) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index_.read());
  std::vector<Digest> digests;
  ENTREPOT_TRY(reader.txn().scan_back(Table::lru, [&](std::string_view key, std::string_view) {
    std::optional<Digest> digest = Digest::from_key(key.substr(std::min(key.size(), sizeof(uint64_t))));
    if (digest) digests.push_back(*digest);
    return digests.size() < most;
  }));
  std::vector<Found> found;
  for (const Digest& digest : digests) {
    ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, reader.view().blob(digest));
    if (row && row->state == BlobState::committed) found.push_back({digest, *row});
  }
  return found;
}

Result<std::string> BlobCheck::look_at(const Found& blob, const Spend& spend, uint64_t& inode) {
  std::shared_ptr<FileUse> use = uses_.use(blob.digest);
  ENTREPOT_TRY_ASSIGN(std::optional<BlobFiles::Opened> opened,
                      blobs_.open_for_reading(blob.digest, blob.row.size));
  if (use->is_removed()) return std::string();  // evicted meanwhile
  if (!opened) return fmt::format("it has no file of {} bytes", blob.row.size);
  inode = opened->inode;
  SharedFd file = FileUse::share(std::move(opened->file), std::move(use));
  return hash(file->get(), blob.digest, spend);
}

Result<std::string> BlobCheck::hash(int file, const Digest& digest, const Spend& spend) {
  Hasher hasher(digest.algorithm());
  for (uint64_t at = 0;;) {
    // What is in memory is taken from there, and stays; what has to be read need not stay.
    iovec piece{buffer_.data(), buffer_.size()};
    ssize_t in_memory = ::preadv2(file, &piece, 1, static_cast<off_t>(at), RWF_NOWAIT);
    size_t count = in_memory > 0 ? static_cast<size_t>(in_memory) : 0;
    if (count == 0) {
      ENTREPOT_TRY_ASSIGN(count, read_at(file, buffer_.data(), buffer_.size(), at));
      ::posix_fadvise(file, static_cast<off_t>(at), static_cast<off_t>(count), POSIX_FADV_DONTNEED);
    }
    if (!spend(count)) return fail(Errc::cancelled, "stopped");
    if (count == 0) break;
    hasher.update(std::string_view(buffer_).substr(0, count));
    at += count;
  }
  return hasher.finish() == digest ? std::string() : std::string("its file does not hash to it");
}

Result<DamagedBlob> BlobCheck::describe(const Digest& digest) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index_.read());
  ENTREPOT_TRY_ASSIGN(std::optional<ManifestRow> manifest, reader.view().manifest(digest));
  DamagedBlob damaged{digest, manifest.has_value(), {}};
  ENTREPOT_TRY_ASSIGN(damaged.holders, reader.view().holders(digest, kMaxHolders));
  return damaged;
}

}  // namespace entrepot::cache
