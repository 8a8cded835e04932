#include "cache/rebuild.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <variant>
#include <vector>

#include "cache/compaction.h"
#include "cache/doubtful_blobs.h"
#include "cache/files.h"
#include "cache/index_update.h"

namespace entrepot::cache {
namespace {

constexpr size_t kRowsPerTransaction = 20'000;

struct NamedFile {
  Digest digest;
  uint64_t size;
  uint64_t disk_bytes;
  timespec modified;
};

/// Oldest first, so that the order of eviction is about what it was.
Result<std::vector<NamedFile>> find_blobs(BlobFiles& blobs, Logger& logger) {
  std::vector<NamedFile> all;
  auto visit = [&](BlobFiles::Found found) -> Status {
    struct stat status;
    if (::fstat(found.file.get(), &status) != 0)
      return fail(system_error("cannot look at a blob's file", errno));
    all.push_back(
        {found.digest, static_cast<uint64_t>(status.st_size), counted_bytes(status), status.st_mtim});
    return {};
  };
  ENTREPOT_TRY(blobs.walk(visit, [&](const std::string& path) {
    logger.warn("rebuild: {} is none of ours and is left alone", path);
  }));
  // A crash may have come before their names were durable, which the rows that follow will promise.
  for (const NamedFile& blob : all) ENTREPOT_TRY(blobs.sync_name(blob.digest));
  std::ranges::sort(all, [](const NamedFile& a, const NamedFile& b) {
    return std::pair(a.modified.tv_sec, a.modified.tv_nsec) <
           std::pair(b.modified.tv_sec, b.modified.tv_nsec);
  });
  return all;
}

/// Writes rows in transactions of bounded size.
class SlicedUpdate {
 public:
  explicit SlicedUpdate(Index& index) : index_(index) {}

  Result<IndexUpdate*> next() {
    if (update_ && ++rows_ >= kRowsPerTransaction) ENTREPOT_TRY(finish());
    if (!update_) {
      ENTREPOT_TRY_ASSIGN(LmdbTxn txn, index_.write());
      update_.emplace(std::move(txn));
      ENTREPOT_TRY(update_->begin());
    }
    return &*update_;
  }

  Status finish() {
    rows_ = 0;
    if (!update_) return {};
    Status committed = update_->commit();
    update_.reset();
    return committed;
  }

 private:
  Index& index_;
  std::optional<IndexUpdate> update_;
  size_t rows_ = 0;
};

struct Replay {
  IndexUpdate& update;

  Status operator()(const Commit::Tag& tag) { return update.put_tag(tag); }
  Status operator()(const Commit::Link& link) { return update.put_link(link); }
  Status operator()(const ManifestEntry& manifest) {
    ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, update.view().blob(manifest.digest));
    if (!row) return {};
    return update.put_manifest(manifest);
  }
  Status operator()(const PinEntry& pin) { return update.pin(pin.digest, pin.is_pinned); }
  Status operator()(const Commit::ImagePin& pin) { return update.pin_image(pin); }
  Status operator()(const Commit::Removal& removal) { return update.remove_link(removal); }
  Status operator()(const Commit::TagRemoval& removal) { return update.remove_tag(removal); }
};

}  // namespace

Status rebuild(int directory, Index& index, BlobFiles& blobs, RefsLog& log, Logger& logger) {
  ENTREPOT_TRY_ASSIGN(std::vector<NamedFile> found, find_blobs(blobs, logger));
  SlicedUpdate slices(index);
  for (const NamedFile& blob : found) {
    ENTREPOT_TRY_ASSIGN(IndexUpdate * update, slices.next());
    ENTREPOT_TRY(update->put_blob(blob.digest, blob.size, blob.disk_bytes));
  }
  size_t entries = 0;
  ENTREPOT_TRY_ASSIGN(bool is_whole, RefsLog::replay(directory, [&](const RefsEntry& entry) -> Status {
                        ++entries;
                        ENTREPOT_TRY_ASSIGN(IndexUpdate * update, slices.next());
                        return std::visit(Replay{*update}, entry);
                      }));
  ENTREPOT_TRY(slices.finish());
  if (!is_whole) logger.warn("rebuild: refs.log ends in a torn or damaged entry after {} good ones", entries);

  ENTREPOT_TRY(compact_refs_log(index, log));
  ENTREPOT_TRY_ASSIGN(LmdbTxn txn, index.write());
  IndexUpdate last(std::move(txn));
  ENTREPOT_TRY(last.begin());
  last.set_log_position(log.position());
  last.state().is_complete = true;
  if (!found.empty()) {
    RebuiltRow row{.until_ms = to_milliseconds(wall_time_of(found.back().modified)), .from = {}};
    ENTREPOT_TRY(last.set_rebuilt(row));
  }
  ENTREPOT_TRY(last.commit());
  if (!found.empty() || entries > 0)
    logger.info(
        "rebuilt the index from {} blobs and {} entries of refs.log; each is hashed before it is given",
        found.size(), entries);
  return {};
}

}  // namespace entrepot::cache
