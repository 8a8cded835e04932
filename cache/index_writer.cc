#include "cache/index_writer.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "cache/compaction.h"
#include "cache/files.h"

namespace entrepot::cache {
namespace {

constexpr Duration kTouchesWait{2000};
constexpr Duration kRetryAfter{1000};
constexpr size_t kCommitsPerTransaction = 256;

// What a transaction may add to the index file at most: every row may dirty a page in each of two tables, but
// no more pages than there are; on top what is new.
constexpr uint64_t kGrowthPerRow = 8192;
constexpr uint64_t kNewBytesPerRow = 1024;
constexpr uint64_t kGrowthPerTransaction = 160u << 10;
constexpr uint64_t kBytesPerChild = 80;

}  // namespace

IndexWriter::IndexWriter(Surroundings surroundings, bool is_offline, const Caps& caps, const StateRow& state,
                         Metrics& metrics)
    : around_(surroundings),
      is_offline_(is_offline),
      caps_(caps),
      state_(state),
      evictor_(
          {around_.ledger, around_.room, around_.parts, around_.blobs, around_.open_files, around_.logger},
          is_offline, metrics),
      transactions_(metrics.counter("entrepot_index_transactions_total", "Index transactions committed")),
      failures_(metrics.counter("entrepot_index_failures_total", "Index transactions that failed")),
      refused_(
          metrics.counter("entrepot_cache_refused_total", "Reservations refused: no room in the budget")),
      used_(metrics.gauge("entrepot_cache_used_bytes", "Bytes in use, as counted against max_size")) {
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "index-writer");
}

IndexWriter::~IndexWriter() {
  around_.inbox.post(StopMessage{});
  thread_.join();
}

void IndexWriter::run() {
  while (true) {
    take_inbox();
    work();
    if (is_stopping_ && (!has_work() || has_failed_)) break;
    if (!has_work()) wait();
  }
  Batch unheard;
  unheard.commits.assign(std::make_move_iterator(commits_.begin()), std::make_move_iterator(commits_.end()));
  fail_all(unheard, Error{Errc::shutting_down, "the cache closes and its index can't be written"});
  for (const auto& request : requests_) request->refuse();
}

bool IndexWriter::are_touches_due() const {
  if (!around_.inbox.has_touches()) return false;
  return is_stopping_ || (touched_at_ && around_.clock.monotonic() - *touched_at_ >= kTouchesWait);
}

bool IndexWriter::has_work() const {
  if (!commits_.empty()) return true;
  if (has_failed_) return false;
  if (!removals_.empty() || !drops_.empty() || !adoptions_.empty() || proven_) return true;
  if (is_log_moved_ || are_touches_due()) return true;
  return can_evict_ && evictor_.bytes_to_evict(front_request(), state_) > 0;
}

void IndexWriter::wait() {
  Duration timeout{-1};
  if (around_.inbox.has_touches()) {
    if (!touched_at_) touched_at_ = around_.clock.monotonic();
    timeout = kTouchesWait;
  }
  if (has_failed_ || !stranded_.empty()) timeout = kRetryAfter;
  pollfd wake{around_.closing.wake_fd(), POLLIN, 0};
  (void)::poll(&wake, 1, static_cast<int>(timeout.count()));
  has_failed_ = false;
}

void IndexWriter::take_inbox() {
  // Cleared before the boxes are emptied: who posts afterwards sets it again.
  uint64_t count = 0;
  (void)!::read(around_.closing.wake_fd(), &count, sizeof count);
  around_.closing.close_all();
  around_.inbox.drain([this](Message&& message) {
    std::visit([this](auto&& kind) { take(std::forward<decltype(kind)>(kind)); }, std::move(message));
  });
  around_.room.drain_requests(requests_);
}

void IndexWriter::take(CommitMessage&& message) { commits_.push_back(std::move(message)); }

void IndexWriter::take(PlacedMessage&& message) {
  Digest digest = message.digest;
  placed_.insert_or_assign(digest, std::move(message));
}

void IndexWriter::take(PartLeftMessage&& message) {
  if (message.use)
    around_.parts.left(message.digest, message.generation, std::move(message.use), state_.next_sequence,
                       message.length, message.written);
  else
    around_.parts.set_sequence(message.digest, message.generation, state_.next_sequence);
  can_evict_ = true;
}

void IndexWriter::take(DropMessage&& message) { drops_.push_back(std::move(message)); }
void IndexWriter::take(ListenerMessage&& message) { evictor_.set_listener(std::move(message.forget)); }
void IndexWriter::take(AdoptMessage&& message) { adoptions_.push_back(std::move(message)); }

// Placed a moment ago, its name is left alone by `remove`; and what has got a row meanwhile is no stray.
void IndexWriter::take(StrayMessage&& message) {
  if (placed_.contains(message.digest)) return;
  Result<Index::Reader> reader = around_.index.read();
  if (!reader) return;
  Result<std::optional<BlobRow>> row = reader->view().blob(message.digest);
  Result<std::optional<struct stat>> status = around_.blobs.status_of(message.digest);
  if (!row || *row || !status || !*status || (*status)->st_ino != message.inode) return;
  std::vector<Digest> gone;
  Status removed = around_.blobs.remove({message.digest}, gone);
  if (!removed) around_.logger.warn("cannot remove {}: {}", message.digest.text(), removed.error().message);
}

void IndexWriter::take(ProvenMessage&& message) {
  if (!has_lost_drops_) proven_ = std::move(message);
}

void IndexWriter::take(LimitsMessage&&) { can_evict_ = true; }
void IndexWriter::take(StopMessage&&) { is_stopping_ = true; }

IndexWriter::Batch IndexWriter::take_batch() {
  Batch batch;
  while (!commits_.empty() && batch.commits.size() < kCommitsPerTransaction) {
    batch.commits.push_back(std::move(commits_.front()));
    commits_.pop_front();
  }
  batch.drops = std::exchange(drops_, {});
  batch.adoptions = std::exchange(adoptions_, {});
  batch.proven = std::exchange(proven_, {});
  return batch;
}

void IndexWriter::work() {
  settle_requests();
  if (!stranded_.empty()) retry_stranded();
  compact_when_due();
  if (has_work()) {
    Batch batch = take_batch();
    uint64_t growth = estimate_growth(batch);
    if (!reserve_growth(growth)) {
      growth = 0;
      // What makes room needs none.
      if (!only_frees(batch))
        fail_all(batch, Error{Errc::disk_full, "no room for the index in the cache's budget"});
    }
    batch.removed = std::exchange(removals_, {});
    batch.evict_bytes = can_evict_ ? evictor_.bytes_to_evict(front_request(), state_) : 0;
    bool is_durable = transact(batch);
    around_.overhead.measure(growth);
    if (is_durable) finish(batch);
    settle_requests();
  }
  used_.set(static_cast<double>(around_.ledger.used()));
}

bool IndexWriter::only_frees(const Batch& batch) {
  return std::ranges::all_of(batch.commits, [](const CommitMessage& message) {
    const Commit& commit = message.commit;
    bool adds_pins =
        std::ranges::any_of(commit.image_pins, &Commit::ImagePin::is_pinned) || !commit.pins.empty();
    return commit.blobs.empty() && commit.links.empty() && commit.tags.empty() && !adds_pins;
  });
}

void IndexWriter::compact_when_due() {
  if (has_failed_ || !is_compaction_due(around_.log)) return;
  uint64_t room = round_up_to_block(around_.log.position().length);
  if (!reserve_growth(room)) return;
  Status compacted = compact_refs_log(around_.index, around_.log);
  if (compacted)
    is_log_moved_ = true;
  else
    around_.logger.error("cannot compact refs.log: {}", compacted.error().message);
  around_.overhead.measure(room);
}

uint64_t IndexWriter::estimate_growth(const Batch& batch) const {
  if (batch.commits.empty() && batch.adoptions.empty()) return 0;
  uint64_t rows = 3 * batch.adoptions.size();
  uint64_t bytes = kGrowthPerTransaction;
  for (const CommitMessage& message : batch.commits) {
    const Commit& commit = message.commit;
    rows += 3 * commit.blobs.size() + 3 * commit.links.size() + 3 * commit.tags.size() +
            2 * commit.pins.size() + 2 * commit.unpins.size() + commit.image_pins.size() +
            4 * commit.removals.size() + 2 * commit.tag_removals.size();
    for (const Commit::Blob& blob : commit.blobs) bytes += kBytesPerChild * blob.children.size();
  }
  return bytes + std::min(rows * kGrowthPerRow, around_.index.disk_bytes() + rows * kNewBytesPerRow);
}

bool IndexWriter::reserve_growth(uint64_t bytes) {
  while (!around_.ledger.try_reserve_overhead(bytes)) {
    if (is_offline_ || !can_evict_ || has_failed_) return false;
    // A transaction for eviction alone. Its own growth is not reserved for: it is small, and it makes room.
    uint64_t wanted = around_.ledger.used() + bytes;
    Batch batch;
    batch.removed = std::exchange(removals_, {});
    batch.evict_bytes = wanted - std::min(wanted, around_.ledger.max_size());
    if (!transact(batch)) return false;
    finish(batch);
    around_.overhead.measure();
  }
  return true;
}

uint64_t IndexWriter::front_request() const { return requests_.empty() ? 0 : requests_.front()->bytes(); }

void IndexWriter::settle_requests() {
  while (!requests_.empty()) {
    RoomRequest& request = *requests_.front();
    if (request.is_waiting() && !around_.room.try_grant(request)) {
      if (!evictor_.is_hopeless(request.bytes(), state_, can_evict_)) return;
      request.refuse();
      refused_.add();
    }
    requests_.pop_front();
  }
}

}  // namespace entrepot::cache
