#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache/blob_check.h"
#include "cache/blob_files.h"
#include "cache/doubtful_blobs.h"
#include "cache/file_use.h"
#include "cache/inbox.h"
#include "cache/index.h"

namespace entrepot::cache {

/// Hashes the committed blobs again and again, at a bounded rate, on a thread of its own. What does not hash
/// to its name, has another size or has no file is dropped from the cache, and told to the listener when its
/// row and its file have gone, so that it can be fetched again.
///
///     youngest first (what a crash may have hurt) --> all, in the order of their digests --> resting
///     resting --a day after the pass began--> all …
///
/// After a rebuild of the index the first pass is over what the rebuild has found and nobody has hashed yet,
/// from where the last run was with it.
///
/// A disk that gives errors for one file after the other is not damage of the files: the pass ends there, and
/// nothing more is dropped.
class Scrub {
 public:
  struct Surroundings {
    Index& index;
    OpenFiles& uses;
    BlobFiles& blobs;
    Inbox& inbox;
    DoubtfulBlobs& doubtful;
    const Clock& clock;
    Logger& logger;
  };
  /// Starts the thread. `rate`: bytes a second. `damaged`: on the index writer's thread.
  Scrub(Surroundings surroundings, uint64_t rate, std::function<void(DamagedBlob)> damaged, Metrics& metrics);
  /// Ends it, within a piece of 256 KiB.
  ~Scrub();

 private:
  void run();
  bool pass(bool is_first);
  /// False: the thread is to end, or the disk is not to be trusted.
  bool check_all(const std::vector<BlobCheck::Found>& blobs);
  void note_proven(const std::string& key);
  void tell(const BlobCheck::Found& blob, const std::string& complaint, uint64_t inode);

  /// Sleeps as long as `bytes` may take. False: the thread is to end.
  bool spend(uint64_t bytes);
  bool sleep_until(MonotonicTime time);

  const Surroundings around_;
  const uint64_t rate_;
  const std::function<void(DamagedBlob)> damaged_;
  Counter checked_bytes_;
  Counter found_damaged_;
  Counter passes_;
  BlobCheck check_;
  MonotonicTime may_go_on_at_;
  int failures_in_a_row_ = 0;
  bool has_gap_ = false;  // something could not be read in this pass
  std::optional<MonotonicTime> noted_proven_at_;
  std::unordered_set<Digest, DigestHash> told_;  // in this pass: the writer may not have come to it yet

  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace entrepot::cache
