#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/disk/disk_strand.h"
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
  // The part belongs to the jobs of the strand, which run one after the other.
  struct OnStrand {
    std::unique_ptr<cache::Part> part;
    Status status;  // the first failure: nothing is written after it
  };
  enum class Kind { append, write_ahead, absorb };

  template <class Work>
  void submit(const char* name, Kind kind, cache::Extent extent, Work work);
  template <class Work>
  Task<Status> run(const char* name, Work work);
  /// The same in the pool for syncs. REQUIRES: nothing is on the strand.
  template <class Work>
  Task<Status> run_apart(const char* name, Work work);
  void absorb_what_follows();
  /// What has been received behind the hash, without a hole.
  uint64_t to_be_absorbed() const { return received_.readable_at(ordered_).size(); }
  void on_done(Kind kind, cache::Extent extent, Status status);
  Task<bool> some_done();

  Context& context_;
  const Digest digest_;
  std::move_only_function<void(cache::Extent)> on_written_;
  DiskStrand strand_;
  std::shared_ptr<OnStrand> state_ = std::make_shared<OnStrand>();
  uint64_t found_ = 0;
  bool is_absorbing_found_ = false;
  int absorbs_under_way_ = 0;  // at most one
  cache::Extents received_;
  uint64_t ordered_ = 0;  // how far the jobs under way will have hashed
  uint64_t hashed_ = 0;
  uint64_t under_way_ = 0;  // bytes of jobs that are not done
  Status status_;
  std::vector<Completion<bool>*> waiters_;
};

}  // namespace entrepot::pull
