#include "cache/scrub.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace entrepot::cache {
namespace {

constexpr size_t kYoungest = 1024;
constexpr int kMostFailuresInARow = 8;
constexpr auto kBetweenPasses = std::chrono::hours(24);
constexpr auto kAfterFailure = std::chrono::minutes(10);
constexpr auto kNoteProvenEvery = std::chrono::seconds(10);
constexpr int kNiceness = 10;
constexpr uint64_t kCostOfFile = 4096;  // besides its bytes

}  // namespace

Scrub::Scrub(Surroundings surroundings, uint64_t rate, std::function<void(DamagedBlob)> damaged,
             Metrics& metrics)
    : around_(surroundings),
      rate_(rate),
      damaged_(std::move(damaged)),
      checked_bytes_(metrics.counter("entrepot_scrub_bytes_total", "Bytes of blobs that were hashed again")),
      found_damaged_(metrics.counter("entrepot_scrub_damaged_total", "Blobs that were found damaged")),
      passes_(metrics.counter("entrepot_scrub_passes_total", "How often all blobs were hashed again")),
      check_(surroundings.index, surroundings.uses, surroundings.blobs),
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
  has_gap_ = false;
  std::optional<std::string> rebuilt_from = around_.doubtful.rebuilt_from();
  if (is_first && !rebuilt_from) {
    Result<std::vector<BlobCheck::Found>> blobs = check_.youngest(kYoungest);
    if (blobs && !check_all(*blobs)) return false;
  }
  for (std::string from = is_first ? rebuilt_from.value_or("") : "";;) {
    Result<std::vector<BlobCheck::Found>> blobs = check_.slice(from);
    if (!blobs) {
      around_.logger.warn("the scrub cannot read the index: {}", blobs.error().message);
      return false;
    }
    if (!check_all(*blobs)) return false;
    if (rebuilt_from) note_proven(from);
    if (from.empty()) return true;
  }
}

// What could not be read has proved nothing, and neither has what comes after it.
void Scrub::note_proven(const std::string& key) {
  std::optional<std::string> known = around_.doubtful.rebuilt_from();
  bool is_news = known && (key.empty() || key > *known);
  if (has_gap_ || !is_news) return;
  MonotonicTime now = around_.clock.monotonic();
  if (!key.empty() && noted_proven_at_ && now - *noted_proven_at_ < kNoteProvenEvery) return;
  noted_proven_at_ = now;
  if (key.empty()) around_.logger.info("everything that the rebuild of the index has found has been hashed");
  around_.inbox.post(ProvenMessage{key});
}

bool Scrub::check_all(const std::vector<BlobCheck::Found>& blobs) {
  auto spend_on = [this](uint64_t bytes) {
    checked_bytes_.add(static_cast<double>(bytes));
    return spend(bytes);
  };
  for (const BlobCheck::Found& blob : blobs) {
    if (told_.contains(blob.digest)) continue;
    if (!spend(kCostOfFile)) return false;
    uint64_t inode = 0;
    Result<std::string> complaint = check_.look_at(blob, spend_on, inode);
    if (!complaint) {
      if (complaint.error().code == Errc::cancelled) return false;
      around_.logger.warn("the scrub: {}", complaint.error().message);
      has_gap_ = true;
      if (++failures_in_a_row_ < kMostFailuresInARow) continue;
      around_.logger.error("the scrub leaves off: the disk gives errors for one file after the other");
      return false;
    }
    failures_in_a_row_ = 0;
    if (!complaint->empty()) tell(blob, *complaint, inode);
  }
  return true;
}

void Scrub::tell(const BlobCheck::Found& blob, const std::string& complaint, uint64_t inode) {
  told_.insert(blob.digest);
  found_damaged_.add();
  Result<DamagedBlob> damaged = check_.describe(blob.digest);
  DropMessage drop{.digest = blob.digest, .complaint = complaint, .bad_inode = inode};
  // A copy: the writer may come to it when we have ended.
  if (damaged) drop.gone = [tell = damaged_, damaged = std::move(*damaged)] { tell(damaged); };
  around_.inbox.post(std::move(drop));
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
