#include "cache/verify.h"

#include <sys/stat.h>

#include <future>
#include <memory>
#include <utility>

#include "cache/files.h"

namespace entrepot::cache {
namespace {

constexpr int kMostFailuresInARow = 8;
constexpr int kMostLooks = 3;
constexpr size_t kMostPosted = 128;  // in one transaction of the writer's

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
  bool has_proven_all = report_.unreadable == 0 && (repairs || report_.damaged == 0);
  if (has_proven_all && around_.doubtful.rebuilt_from()) ENTREPOT_TRY(post(ProvenMessage{}));
  ENTREPOT_TRY(check_files(on_progress));
  ENTREPOT_TRY(flush());
  return std::move(report_);
}

Status Verify::post(Message message) {
  around_.inbox.post(std::move(message));
  return ++posted_ < kMostPosted ? Status() : flush();
}

Status Verify::flush() {
  if (std::exchange(posted_, 0) == 0) return {};
  auto promise = std::make_shared<std::promise<Status>>();
  std::future<Status> outcome = promise->get_future();
  around_.inbox.post(CommitMessage{{}, [promise](Status status) { promise->set_value(std::move(status)); }});
  return outcome.get();
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
    for (BlobCheck::Found& blob : blobs) {
      uint64_t inode = 0;
      Result<std::string> complaint = look_at(blob, spend, inode);
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
      DropMessage drop{.digest = blob.digest, .complaint = *complaint, .bad_inode = inode};
      if (damaged) drop.gone = [damaged, description = std::move(description)] { damaged(description); };
      ENTREPOT_TRY(post(std::move(drop)));
    }
    if (from.empty()) return {};
  }
}

// Between the look into the index and the one at the file it may have been evicted, and fetched again.
Result<std::string> Verify::look_at(BlobCheck::Found& blob, const BlobCheck::Spend& spend, uint64_t& inode) {
  for (int looks = 1;; ++looks) {
    ENTREPOT_TRY_ASSIGN(std::string complaint, check_.look_at(blob, spend, inode));
    if (complaint.empty()) return complaint;
    ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, find_row(blob.digest));
    if (!row || row->state != BlobState::committed) return std::string();
    ENTREPOT_TRY_ASSIGN(std::optional<struct stat> file, around_.blobs.status_of(blob.digest));
    bool is_same_file = file && inode != 0 && file->st_ino == inode;
    if (is_same_file || looks >= kMostLooks) return complaint;
    blob.row = *row;
  }
}

Status Verify::check_files(const OnVerifyProgress& on_progress) {
  auto spend = [this, &on_progress](uint64_t bytes) {
    report_.bytes += bytes;
    return on_progress(report_);
  };
  auto visit = [&](BlobFiles::Found found) -> Status {
    if (!on_progress(report_)) return fail(left_off());
    // In this order: what is settled between the two has a row.
    bool is_pending = around_.blobs.is_pending(found.digest);
    ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, find_row(found.digest));
    return is_pending || row ? Status() : judge_unknown(std::move(found), spend);
  };
  return around_.blobs.walk(visit, [this](const std::string& path) {
    ++report_.foreign;
    if (report_.foreign_paths.size() < VerifyReport::kMaxProblems) report_.foreign_paths.push_back(path);
  });
}

Result<std::optional<BlobRow>> Verify::find_row(const Digest& digest) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, around_.index.read());
  return reader.view().blob(digest);
}

Status Verify::judge_unknown(BlobFiles::Found found, const BlobCheck::Spend& spend) {
  struct stat status;
  Result<std::string> complaint = check_.hash(found.file.get(), found.digest, spend);
  if (!complaint && complaint.error().code == Errc::cancelled) return fail(left_off());
  if (!complaint || ::fstat(found.file.get(), &status) != 0) return {};
  ENTREPOT_TRY_ASSIGN(std::optional<struct stat> now, around_.blobs.status_of(found.digest));
  if (!now || now->st_ino != status.st_ino) return {};  // it was just being evicted
  ++report_.unknown;
  bool is_right = complaint->empty();
  note(found.digest,
       is_right ? "the index does not know its file" : "the index does not know its file, which is damaged");
  if (!repairs_) return {};
  if (!is_right) return post(StrayMessage{found.digest, status.st_ino});
  return post(AdoptMessage{found.digest, static_cast<uint64_t>(status.st_size), counted_bytes(status)});
}

}  // namespace entrepot::cache
