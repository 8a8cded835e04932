#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/disk/disk_patience.h"
#include "base/disk/disk_strand.h"
#include "base/hasher.h"
#include "base/loop/wait.h"
#include "base/task/completion.h"
#include "cache/extents.h"
#include "cache/part.h"
#include "proxy/pull/context.h"

namespace entrepot::pull {

/// A fill's way to its part: what arrives is written on a strand of the disk pool, at most 1 MiB ahead of it,
/// and hashed in order. Bytes that come ahead of their turn are hashed when it has come. Lives on the fill's
/// loop; shared with the jobs under way and with those who hand bytes over.
///
///     closed --open--> writing --job failed--> failed (what was handed over later is dropped)
///                              --disk hangs--> given up: as failed, and nothing is waited for
class PartWriter : public std::enable_shared_from_this<PartWriter> {
 public:
  /// `on_written` is called with each extent that is written for good, hashed or not.
  PartWriter(Context& context, Digest digest, std::move_only_function<void(cache::Extent)> on_written);

  /// disk_full, io_error: the blob can't be stored.
  Task<Status> open();
  /// Bytes that an earlier fetch has left, from 0.
  uint64_t found() const { return found_; }
  /// Begins to hash what was found, once: before bytes that follow it are handed over.
  void absorb_found();
  Task<Status> reserve(uint64_t size);
  /// Hands bytes over that nobody else has, and waits while more than a little is under way: so a slow disk
  /// slows the upstream, and memory stays bounded. An error may be an earlier piece's.
  Task<Status> write(uint64_t at, std::string bytes);
  /// Waits until all that was handed over is written, and hashed as far as there is no hole; or until a job
  /// has failed.
  Task<Status> settle();
  /// Part::rewind, after `settle`.
  Task<Status> rewind(const cache::Extents& kept);
  /// Part::verify, after `settle`.
  Task<Status> verify();
  Task<Status> place();
  /// Keeps the part for the next who asks, or removes it. REQUIRES: the last call.
  Task<Status> let_go(bool is_kept);
  /// The hash of what is hashed, for who goes on past the cache. REQUIRES: open.
  Task<cache::PartHash> hash();

  /// A job has failed: the part can't go on.
  bool has_failed() const { return !status_; }
  SharedFd file() const { return state_->part->file(); }
  /// Bytes found and handed over.
  const cache::Extents& received() const { return received_; }
  /// How far all is written and hashed.
  uint64_t hashed() const { return hashed_; }

 private:
  // The part belongs to the jobs of the strand, which run one after the other; and to the one that places it,
  // apart from them. What comes to it after it was discarded finds it gone.
  class Shared {
   public:
    std::unique_ptr<cache::Part> part;

    /// A job's thread. Not after an earlier failure.
    template <class Work>
    Status run_in_order(Work& work, JobProgress& progress) {
      std::lock_guard lock(mutex_);
      if (status_) status_ = run_locked(work, progress);
      return status_;
    }
    template <class Work>
    Status run(Work& work, JobProgress& progress) {
      std::lock_guard lock(mutex_);
      return run_locked(work, progress);
    }
    void discard() {
      std::lock_guard lock(mutex_);
      is_discarded_ = true;
      part->discard();
    }
    /// Any thread: as the last job has left it, also while the disk does not let go of the part.
    cache::PartHash last_hash(DigestAlgorithm algorithm) {
      std::lock_guard lock(hash_mutex_);
      if (!hash_) return {0, Hasher(algorithm)};
      return {hash_->size, hash_->hash.copy()};
    }

   private:
    template <class Work>
    Status run_locked(Work& work, JobProgress& progress) {
      if (is_discarded_) return fail(Errc::io_error, "the part was given up");
      progress.begin();
      Status done = work(*part);
      progress.end();
      std::lock_guard lock(hash_mutex_);
      hash_.emplace(part->hash());
      return done;
    }

    std::mutex mutex_;
    Status status_;  // the first failure: nothing is written after it
    bool is_discarded_ = false;
    std::mutex hash_mutex_;  // never held while the disk is waited for
    std::optional<cache::PartHash> hash_;
  };
  enum class Kind { append, write_ahead, absorb };

  template <class Work>
  void submit(const char* name, Kind kind, cache::Extent extent, Work work);
  template <class Work>
  Task<Status> run(const char* name, Work work);
  void absorb_what_follows();
  /// What has been received behind the hash, without a hole.
  uint64_t to_be_absorbed() const { return received_.readable_at(ordered_).size(); }
  void on_done(Kind kind, cache::Extent extent, Status status);
  /// Waits for a job's end; or gives up.
  Task<bool> some_done();
  /// The disk hangs: nothing is waited for any more.
  Status give_up();
  DiskPatience patience() const;

  Context& context_;
  const Digest digest_;
  std::move_only_function<void(cache::Extent)> on_written_;
  DiskStrand strand_;
  std::shared_ptr<Shared> state_ = std::make_shared<Shared>();
  std::shared_ptr<JobProgress> progress_ = std::make_shared<JobProgress>();  // of the strand
  uint64_t found_ = 0;
  bool is_absorbing_found_ = false;
  int absorbs_under_way_ = 0;  // at most one
  cache::Extents received_;
  uint64_t ordered_ = 0;  // how far the jobs under way will have hashed
  uint64_t hashed_ = 0;
  uint64_t under_way_ = 0;  // bytes of jobs that are not done
  Status status_;
  bool has_given_up_ = false;
  std::vector<std::shared_ptr<Wait<bool>>> waiters_;
};

}  // namespace entrepot::pull
