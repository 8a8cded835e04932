#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache/doubtful_blobs.h"
#include "cache/evictor.h"
#include "cache/inbox.h"
#include "cache/index_update.h"
#include "cache/overhead.h"
#include "cache/trouble.h"

namespace entrepot::cache {

/// The thread that owns the index's write transaction. It takes all that waits into one transaction, so that
/// many share one fsync: removals of rows whose files are gone, touches, commits, and a slice of eviction.
/// After the commit it runs `done` callbacks, removes parts' names and evicted files, and answers those who
/// wait for room.
///
///     sleeping --message--> working --nothing left--> sleeping
///     working --transaction failed--> waiting a second (or a message) --> working
///     any --stop--> working until all that came before is done --> ended
class IndexWriter {
 public:
  struct Surroundings {
    Index& index;
    RefsLog& log;
    BlobFiles& blobs;
    PartsDirectory& parts;
    OpenFiles& open_files;
    Room& room;
    Ledger& ledger;
    Overhead& overhead;
    ClosingBox& closing;
    Inbox& inbox;
    Trouble& trouble;
    DoubtfulBlobs& doubtful;
    const std::atomic<bool>& is_purging;
    const Clock& clock;
    Logger& logger;
  };

  /// Starts the thread. `state` is what the index holds.
  IndexWriter(Surroundings surroundings, bool is_offline, const Caps& caps, const StateRow& state,
              Metrics& metrics);
  /// Commits what waits, then ends the thread.
  ~IndexWriter();

 private:
  struct Adopted {
    Digest digest;
    std::optional<uint64_t> replaced_bytes;
  };
  struct Batch {
    std::vector<CommitMessage> commits;
    std::vector<Status> outcomes;  // of each commit
    std::vector<Adopted> adopted;  // placed files that become blobs
    std::vector<Evictor::Doomed> doomed;
    std::vector<Digest> removed;
    std::vector<Digest> touches;
    std::vector<DropMessage> drops;
    std::vector<AdoptMessage> adoptions;
    std::optional<ProvenMessage> proven;
    uint64_t charged = 0;                                  // for what was taken in
    std::vector<std::move_only_function<void()>> dropped;  // who is to be told
    uint64_t evict_bytes = 0;
  };

  void run();
  void wait();
  void take_inbox();
  void take(CommitMessage&& message);
  void take(PlacedMessage&& message);
  void take(PartLeftMessage&& message);
  void take(DropMessage&& message);
  void take(ListenerMessage&& message);
  void take(AdoptMessage&& message);
  void take(StrayMessage&& message);
  void take(ProvenMessage&& message);
  void take(LimitsMessage&& message);
  void take(StopMessage&& message);

  bool has_work() const;
  bool are_touches_due() const;
  void work();
  void compact_when_due();
  /// Reserves what the index and the log may grow by; evicts for it. False when there is no room.
  bool reserve_growth(uint64_t bytes);
  static bool only_frees(const Batch& batch);
  uint64_t estimate_growth(const Batch& batch) const;
  Batch take_batch();

  /// One index transaction with all of `batch`. False when it failed and nothing has changed.
  bool transact(Batch& batch);
  Status fill_transaction(IndexUpdate& update, Batch& batch);
  Status judge(const IndexUpdate& update, const Commit& commit) const;
  Status apply(IndexUpdate& update, const Commit& commit, Batch& batch);
  Status take_in(IndexUpdate& update, Batch& batch);
  Status remove(IndexUpdate& update, const Commit::Removal& removal, Batch& batch);
  bool is_believed();
  bool is_stale(const DropMessage& drop, const BlobRow& row) const;
  void note_failure(const Error& error);

  void finish(Batch& batch);
  void fail_all(Batch& batch, const Error& error);
  void adopt(const Adopted& adopted);
  void withdraw_placed(const Commit& commit);
  void retry_stranded();
  void settle_requests();
  uint64_t front_request() const;

  Surroundings around_;
  const bool is_offline_;
  const Caps caps_;
  StateRow state_;  // as last committed
  Evictor evictor_;
  Counter transactions_;
  Counter failures_;
  Counter refused_;
  Gauge used_;

  // A placed file that got no row and could not be removed: counted until it can be.
  struct Stranded {
    Digest digest;
    uint64_t inode = 0;
    std::shared_ptr<FileUse> use;
  };
  std::vector<Stranded> stranded_;
  std::deque<CommitMessage> commits_;
  std::unordered_map<Digest, PlacedMessage, DigestHash> placed_;
  std::vector<DropMessage> drops_;
  std::vector<AdoptMessage> adoptions_;
  std::optional<ProvenMessage> proven_;
  std::vector<Digest> removals_;  // doomed, their files are gone
  std::deque<std::shared_ptr<RoomRequest>> requests_;
  std::optional<MonotonicTime> touched_at_;  // when the oldest waiting touch was noticed
  bool can_evict_ = true;                    // false when the last slice found nothing
  bool is_log_moved_ = false;                // refs.log was rewritten, the index does not know yet
  bool has_failed_ = false;                  // the last transaction: not tried again at once
  bool is_stopping_ = false;
  std::optional<MonotonicTime> complained_at_;
  std::optional<MonotonicTime> marked_time_at_;
  std::optional<MonotonicTime> unreadable_since_;
  int unreadable_ = 0;           // files since then
  bool has_lost_drops_ = false;  // a transaction with them has failed: nothing is proven in this run any more
  std::thread thread_;
};

}  // namespace entrepot::cache
