#include "cache/verify.h"

#include <sys/stat.h>

#include <utility>

#include "cache/files.h"

namespace entrepot::cache {
namespace {

constexpr int kMostFailuresInARow = 8;

Error left_off() { return {Errc::cancelled, "the verification was left off"}; }

}  // namespace

Result<VerifyReport> Verify::run(bool repairs, const OnVerifyProgress& on_progress,
                                 const std::function<void(DamagedBlob)>& damaged) {
  repairs_ = repairs;
  {
    ENTREPOT_TRY_ASSIGN(Index::Reader reader, around_.index.read());
    ENTREPOT_TRY_ASSIGN(report_.blobs, reader.txn().count(Table::blob));
  }
  ENTREPOT_TRY(check_rows(on_progress, damaged));
  ENTREPOT_TRY(check_files(on_progress));
  return std::move(report_);
}

void Verify::note(const Digest& digest, const std::string& complaint) {
  if (report_.problems.size() < VerifyReport::kMaxProblems) report_.problems.push_back({digest, complaint});
}

Status Verify::check_rows(const OnVerifyProgress& on_progress,
                          const std::function<void(DamagedBlob)>& damaged) {
  auto spend = [this, &on_progress](uint64_t bytes) {
    report_.bytes += bytes;
    return on_progress(report_);
  };
  int failures_in_a_row = 0;
  for (std::string from;;) {
    ENTREPOT_TRY_ASSIGN(std::vector<BlobCheck::Found> blobs, check_.slice(from));
    for (const BlobCheck::Found& blob : blobs) {
      uint64_t inode = 0;
      Result<std::string> complaint = check_.look_at(blob, spend, inode);
      if (!complaint && complaint.error().code == Errc::cancelled) return fail(left_off());
      ++report_.checked;
      if (!complaint) {
        // Not damage of the file, as far as anybody knows: it is left alone.
        ++report_.unreadable;
        note(blob.digest, complaint.error().message);
        if (++failures_in_a_row >= kMostFailuresInARow) return fail(complaint.error());
        continue;
      }
      failures_in_a_row = 0;
      if (complaint->empty()) continue;
      ++report_.damaged;
      note(blob.digest, *complaint);
      if (!repairs_) continue;
      ENTREPOT_TRY_ASSIGN(DamagedBlob description, check_.describe(blob.digest));
      DropMessage drop{blob.digest, *complaint, inode, {}};
      if (damaged) drop.gone = [damaged, description = std::move(description)] { damaged(description); };
      around_.inbox.post(std::move(drop));
    }
    if (from.empty()) return {};
  }
}

Status Verify::check_files(const OnVerifyProgress& on_progress) {
  auto visit = [&](BlobFiles::Found found) -> Status {
    if (!on_progress(report_)) return fail(left_off());
    ENTREPOT_TRY_ASSIGN(bool has_row, is_known(found.digest));
    return has_row ? Status() : judge_unknown(std::move(found));
  };
  return around_.blobs.walk(visit, [this](const std::string& path) {
    ++report_.foreign;
    if (report_.foreign_paths.size() < VerifyReport::kMaxProblems) report_.foreign_paths.push_back(path);
  });
}

Result<bool> Verify::is_known(const Digest& digest) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, around_.index.read());
  ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, reader.view().blob(digest));
  return row.has_value();
}

// One that was put there a moment ago and is not committed yet looks like this too; the writer knows it.
Status Verify::judge_unknown(BlobFiles::Found found) {
  struct stat status;
  Result<Digest> actual = hash_file(found.file.get(), found.digest.algorithm());
  if (!actual || ::fstat(found.file.get(), &status) != 0) return {};
  ++report_.unknown;
  bool is_right = *actual == found.digest;
  note(found.digest,
       is_right ? "the index does not know its file" : "the index does not know its file, which is damaged");
  if (repairs_ && is_right)
    around_.inbox.post(
        AdoptMessage{found.digest, static_cast<uint64_t>(status.st_size), counted_bytes(status)});
  if (repairs_ && !is_right) around_.inbox.post(StrayMessage{found.digest, status.st_ino});
  return {};
}

}  // namespace entrepot::cache
