#pragma once

#include <memory>

#include "proxy/pull/fill.h"

namespace entrepot::pull {

/// One follower of a fill, on the follower's own loop. The disk is the buffer: it says from where to where
/// the part is readable, and the answer is sent from the part's descriptor at the client's pace. Dropping it
/// leaves the fill running.
class FillReader {
 public:
  FillReader(EventLoop& here, EventLoop& home, std::shared_ptr<Fill> fill, FillHead head,
             bool has_started_it);
  FillReader(FillReader&&) noexcept = default;
  FillReader& operator=(FillReader&&) = delete;
  ~FillReader();

  std::optional<uint64_t> size() const { return head_.size; }
  const SharedFd& file() const { return head_.file; }
  bool is_verified() const { return head_.progress->is_verified.load(std::memory_order_acquire); }
  /// This follower was the first; the others are collapsed onto it.
  bool has_started_it() const { return has_started_it_; }

  /// Waits until bytes from `at` on are readable; those before `until` are wanted now. With `is_last` and
  /// `end == at` the blob ends there. An error: they will never be (what was sent must be cut).
  Task<Result<Readable>> wait_readable(uint64_t at, uint64_t until);
  /// These are going to be waited for, one after the other.
  void want(std::vector<cache::Extent> extents);
  /// The client has gone: the fill need not go on for him. A wait that is under way ends in its own time, and
  /// soon when nobody else waits.
  void client_left();
  /// Nothing more is wanted from the fill: its file need not be kept for us. REQUIRES: the last call.
  void let_go();
  /// After disk_full or io_error: where this follower goes on past the cache.
  Task<Result<Remainder>> remainder();
  /// Waits until the digest is right; gives the blob's size.
  Task<Result<uint64_t>> wait_verified();

 private:
  EventLoop* here_;
  EventLoop* home_;
  std::shared_ptr<Fill> fill_;  // used and released on the home loop only
  FillHead head_;
  bool has_started_it_;
  bool has_left_ = false;
};

}  // namespace entrepot::pull
