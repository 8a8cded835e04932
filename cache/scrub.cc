#include "cache/scrub.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/hasher.h"
#include "cache/files.h"

namespace entrepot::cache {
namespace {

constexpr size_t kPiece = 256u << 10;
constexpr size_t kSlice = 256;
constexpr size_t kYoungest = 1024;
constexpr size_t kMaxHolders = 8;
constexpr int kMostFailuresInARow = 8;
constexpr auto kBetweenPasses = std::chrono::hours(24);
constexpr auto kAfterFailure = std::chrono::minutes(10);
constexpr int kNiceness = 10;
constexpr uint64_t kLeastCost = 4096;  // of a file, however small

}  // namespace

Scrub::Scrub(Surroundings surroundings, uint64_t rate, std::function<void(DamagedBlob)> damaged,
             Metrics& metrics)
    : around_(surroundings),
      rate_(rate),
      damaged_(std::move(damaged)),
      checked_bytes_(metrics.counter("entrepot_scrub_bytes_total", "Bytes of blobs that were hashed again")),
      found_damaged_(metrics.counter("entrepot_scrub_damaged_total", "Blobs that were found damaged")),
      passes_(metrics.counter("entrepot_scrub_passes_total", "How often all blobs were hashed again")),
      buffer_(kPiece, '\0'),
      thread_([this] { run(); }) {}

Scrub::~Scrub() {
  {
    std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  ended_.notify_all();
  thread_.join();
}

void Scrub::run() {
  pthread_setname_np(pthread_self(), "scrub");
  setpriority(PRIO_PROCESS, 0, kNiceness);  // of this thread; refused, it is as any other
  for (bool is_first = true;; is_first = false) {
    MonotonicTime begun = around_.clock.monotonic();
    bool is_whole = pass(is_first);
    if (is_whole) passes_.add();
    MonotonicTime next = is_whole ? begun + kBetweenPasses : around_.clock.monotonic() + kAfterFailure;
    if (!sleep_until(next)) return;
  }
}

// What was written last is what a crash may have hurt, and a pass may take long to come there.
bool Scrub::pass(bool is_first) {
  failures_in_a_row_ = 0;
  told_.clear();
  may_go_on_at_ = around_.clock.monotonic();
  if (is_first) {
    Result<std::vector<Found>> blobs = youngest();
    if (blobs && !check_all(*blobs)) return false;
  }
  for (std::string from;;) {
    Result<std::vector<Found>> blobs = slice(from);
    if (!blobs) {
      around_.logger.warn("the scrub cannot read the index: {}", blobs.error().message);
      return false;
    }
    if (blobs->empty() && from.empty()) return true;
    if (!check_all(*blobs)) return false;
    if (from.empty()) return true;
  }
}

bool Scrub::check_all(const std::vector<Found>& blobs) {
  for (const Found& blob : blobs) {
    if (told_.contains(blob.digest)) continue;
    uint64_t inode = 0;
    Result<std::string> complaint = look_at(blob, inode);
    if (!complaint) {
      if (complaint.error().code == Errc::cancelled) return false;
      around_.logger.warn("the scrub: {}", complaint.error().message);
      if (++failures_in_a_row_ < kMostFailuresInARow) continue;
      around_.logger.error("the scrub leaves off: the disk gives errors for one file after the other");
      return false;
    }
    failures_in_a_row_ = 0;
    if (!complaint->empty()) tell(blob, *complaint, inode);
  }
  return true;
}

Result<std::string> Scrub::look_at(const Found& blob, uint64_t& inode) {
  std::shared_ptr<FileUse> use = around_.uses.use(blob.digest);
  ENTREPOT_TRY_ASSIGN(std::optional<BlobFiles::Opened> opened,
                      around_.blobs.open_for_reading(blob.digest, blob.row.size));
  if (use->is_removed()) return std::string();  // evicted meanwhile
  if (!opened) return fmt::format("it has no file of {} bytes", blob.row.size);
  inode = opened->inode;
  SharedFd file = FileUse::share(std::move(opened->file), std::move(use));
  return hash(file->get(), blob.digest);
}

Result<std::string> Scrub::hash(int file, const Digest& digest) {
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
    if (!spend(std::max(count, at == 0 ? kLeastCost : 0))) return fail(Errc::cancelled, "stopped");
    if (count == 0) break;
    hasher.update(std::string_view(buffer_).substr(0, count));
    checked_bytes_.add(static_cast<double>(count));
    at += count;
  }
  return hasher.finish() == digest ? std::string() : std::string("its file does not hash to it");
}

void Scrub::tell(const Found& blob, const std::string& complaint, uint64_t inode) {
  told_.insert(blob.digest);
  found_damaged_.add();
  Result<DamagedBlob> damaged = describe(blob);
  DropMessage drop{blob.digest, complaint, inode, {}};
  // A copy: the writer may come to it when we have ended.
  if (damaged) drop.gone = [tell = damaged_, damaged = std::move(*damaged)] { tell(damaged); };
  around_.inbox.post(std::move(drop));
}

Result<DamagedBlob> Scrub::describe(const Found& blob) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, around_.index.read());
  ENTREPOT_TRY_ASSIGN(std::optional<ManifestRow> manifest, reader.view().manifest(blob.digest));
  DamagedBlob damaged{blob.digest, manifest.has_value(), {}};
  ENTREPOT_TRY_ASSIGN(damaged.holders, reader.view().holders(blob.digest, kMaxHolders));
  return damaged;
}

Result<std::vector<Scrub::Found>> Scrub::youngest() const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, around_.index.read());
  std::vector<Digest> digests;
  ENTREPOT_TRY(reader.txn().scan_back(Table::lru, [&](std::string_view key, std::string_view) {
    std::optional<Digest> digest = Digest::from_key(key.substr(std::min(key.size(), sizeof(uint64_t))));
    if (digest) digests.push_back(*digest);
    return digests.size() < kYoungest;
  }));
  std::vector<Found> found;
  for (const Digest& digest : digests) {
    ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, reader.view().blob(digest));
    if (row && row->state == BlobState::committed) found.push_back({digest, *row});
  }
  return found;
}

// The next ones in the order of their keys; `from` becomes where to go on, "" at the end.
Result<std::vector<Scrub::Found>> Scrub::slice(std::string& from) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, around_.index.read());
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

bool Scrub::spend(uint64_t bytes) {
  auto cost = std::chrono::duration<double>(static_cast<double>(bytes) / static_cast<double>(rate_));
  // Time that a slow disk has cost is not made up for.
  may_go_on_at_ = std::max(may_go_on_at_, around_.clock.monotonic()) +
                  std::chrono::duration_cast<MonotonicTime::duration>(cost);
  return sleep_until(may_go_on_at_);
}

bool Scrub::sleep_until(MonotonicTime time) {
  std::unique_lock lock(mutex_);
  auto left = time - around_.clock.monotonic();
  if (left > left.zero()) ended_.wait_for(lock, left, [this] { return is_ending_; });
  return !is_ending_;
}

}  // namespace entrepot::cache
