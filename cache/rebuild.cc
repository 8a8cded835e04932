#include "cache/rebuild.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <variant>
#include <vector>

#include "cache/compaction.h"
#include "cache/files.h"
#include "cache/index_update.h"

namespace entrepot::cache {
namespace {

constexpr size_t kRowsPerTransaction = 2000;

struct ProvenBlob {
  Digest digest;
  uint64_t size;
  uint64_t disk_bytes;
  timespec modified;
};

/// Oldest first, so that the order of eviction is about what it was.
Result<std::vector<ProvenBlob>> prove_blobs(BlobFiles& blobs, Logger& logger) {
  std::vector<ProvenBlob> proven;
  std::vector<Digest> wrong;
  auto visit = [&](BlobFiles::Found found) -> Status {
    struct stat status;
    // A disk that cannot be read now says nothing of the blob.
    ENTREPOT_TRY_ASSIGN(Digest digest, hash_file(found.file.get(), found.digest.algorithm()));
    if (::fstat(found.file.get(), &status) != 0)
      return fail(system_error("cannot look at a blob's file", errno));
    if (digest != found.digest) {
      logger.warn("rebuild: the file of {} is damaged and is removed", found.digest.text());
      wrong.push_back(found.digest);
      return {};
    }
    proven.push_back(
        {found.digest, static_cast<uint64_t>(status.st_size), counted_bytes(status), status.st_mtim});
    return {};
  };
  ENTREPOT_TRY(blobs.walk(visit, [&](const std::string& path) {
    logger.warn("rebuild: {} is none of ours and is left alone", path);
  }));
  std::vector<Digest> removed;
  ENTREPOT_TRY(blobs.remove(wrong, removed));
  // A crash may have come before their names were durable, which the rows that follow will promise.
  for (const ProvenBlob& blob : proven) ENTREPOT_TRY(blobs.sync_name(blob.digest));
  std::ranges::sort(proven, [](const ProvenBlob& a, const ProvenBlob& b) {
    return std::pair(a.modified.tv_sec, a.modified.tv_nsec) <
           std::pair(b.modified.tv_sec, b.modified.tv_nsec);
  });
  return proven;
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
  ENTREPOT_TRY_ASSIGN(std::vector<ProvenBlob> proven, prove_blobs(blobs, logger));
  SlicedUpdate slices(index);
  for (const ProvenBlob& blob : proven) {
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
  ENTREPOT_TRY(last.commit());
  if (!proven.empty() || entries > 0)
    logger.info("rebuilt the index from {} blobs and {} entries of refs.log", proven.size(), entries);
  return {};
}

}  // namespace entrepot::cache
