#include "cache/recovery.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <tuple>

#include "cache/files.h"
#include "cache/index_update.h"

namespace entrepot::cache {
namespace {

/// Names of parts/ whose files are no longer needed: removed only when what replaces them is durable.
using Names = std::vector<std::string>;

std::optional<struct stat> stat_part(const PartsDirectory& parts, const std::string& name) {
  struct stat status;
  if (::fstatat(parts.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return status;
}

bool is_in_place(const BlobFiles& blobs, const Digest& digest, const struct stat& part) {
  Result<std::optional<struct stat>> blob = blobs.status_of(digest);
  return blob && *blob && (*blob)->st_dev == part.st_dev && (*blob)->st_ino == part.st_ino;
}

// The file that the row describes is there; a crash may have taken its name back (see sync_name below).
bool has_file(const BlobFiles& blobs, const Digest& digest, const BlobRow& row) {
  Result<std::optional<struct stat>> blob = blobs.status_of(digest);
  return !blob || (*blob && static_cast<uint64_t>((*blob)->st_size) == row.size);
}

Status judge_part(const std::string& name, IndexUpdate& update, BlobFiles& blobs, const PartsDirectory& parts,
                  struct timespec last_start, std::vector<LeftoverPart>& kept, Names& obsolete) {
  std::optional<Digest> digest = PartsDirectory::parse_name(name);
  std::optional<struct stat> status = stat_part(parts, name);
  if (!status || S_ISDIR(status->st_mode)) return {};
  if (!digest || !S_ISREG(status->st_mode)) {
    obsolete.push_back(name);
    return {};
  }
  ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, update.view().blob(*digest));
  bool is_committed = row && row->state == BlobState::committed;
  if (is_in_place(blobs, *digest, *status)) {
    // Also when the row is committed: the crash may have come between replacing the file and the commit that
    // tells its size. The name must be durable before a row says that the file is there.
    ENTREPOT_TRY(blobs.sync_name(*digest));
    ENTREPOT_TRY(update.put_blob(*digest, static_cast<uint64_t>(status->st_size), counted_bytes(*status)));
    obsolete.push_back(name);
  } else if (is_committed && has_file(blobs, *digest, *row)) {
    obsolete.push_back(name);
  } else {
    const struct timespec& written = status->st_mtim;
    bool is_recent =
        std::tie(written.tv_sec, written.tv_nsec) > std::tie(last_start.tv_sec, last_start.tv_nsec);
    // It may have holes; and what was written last before the crash may have no blocks yet.
    UniqueFd file(::openat(parts.fd(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    uint64_t content = file.is_open() ? content_bytes(file.get()) : static_cast<uint64_t>(status->st_size);
    kept.push_back({*digest, std::max(disk_bytes(*status), round_up_to_block(content)), is_recent});
  }
  return {};
}

}  // namespace

Result<Recovered> recover(Index& index, BlobFiles& blobs, PartsDirectory& parts, const RefsLog& log,
                          struct timespec last_start, std::optional<WallTime> this_run, Logger& logger) {
  Recovered recovered;
  std::vector<LeftoverPart>& kept = recovered.parts;
  Names obsolete;
  ENTREPOT_TRY_ASSIGN(LmdbTxn txn, index.write());
  IndexUpdate update(std::move(txn));
  ENTREPOT_TRY(update.begin());
  ENTREPOT_TRY_ASSIGN(Names names, list_directory(parts.fd()));
  for (const std::string& name : names)
    ENTREPOT_TRY(judge_part(name, update, blobs, parts, last_start, kept, obsolete));

  ENTREPOT_TRY_ASSIGN(std::vector<Digest> doomed, update.doomed());
  std::vector<Digest> removed;
  Status unlinked = blobs.remove(doomed, removed);
  if (!unlinked) logger.warn("recovery: {}", unlinked.error().message);
  for (const Digest& digest : removed) ENTREPOT_TRY(update.remove_doomed(digest));
  if (this_run) {
    ENTREPOT_TRY_ASSIGN(recovered.unclean_since, update.begin_run(*this_run));
  }
  update.set_log_position(log.position());
  ENTREPOT_TRY(update.commit());

  for (const std::string& name : obsolete) ENTREPOT_TRY(remove_name(parts.fd(), name));
  if (!kept.empty() || !removed.empty() || !obsolete.empty())
    logger.info("recovery: {} parts kept, {} parts cleared, {} evictions finished", kept.size(),
                obsolete.size(), removed.size());
  return recovered;
}

Status note_clean_stop(Index& index) {
  // The next start is to look closer.
  if (index.is_damaged()) return {};
  ENTREPOT_TRY_ASSIGN(LmdbTxn txn, index.write());
  ENTREPOT_TRY(txn.remove(Table::meta, kUncleanKey));
  return txn.commit();
}

}  // namespace entrepot::cache
