#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/disk/disk_strand.h"
#include "base/task/completion.h"
#include "cache/extents.h"
#include "cache/part.h"
#include "proxy/pull/context.h"

namespace entrepot::pull {

/// What a follower may look at without asking the fill's home loop: how far the bytes are readable. Written
/// by the home loop alone.
struct FillProgress {
  std::atomic<uint64_t> readable{0};     // bytes [0, readable) may be sent
  std::atomic<bool> is_verified{false};  // all of them, and the digest is right
};

/// The start of a fill, as every follower needs it.
struct FillHead {
  std::optional<uint64_t> size;  // nothing: neither the upstream nor a manifest told
  SharedFd file;
  std::shared_ptr<const FillProgress> progress;
};

/// Bytes [at, end) are readable. With `is_last`, `end` is the end of the blob.
struct Readable {
  uint64_t end = 0;
  bool is_last = false;
};

/// The fetch of one blob into its part, for however many wait for it. A flow on the home loop of the digest,
/// which owns it; it outlives those who asked. Followers on all loops read the part where it is readable
/// (FillReader).
///
///   opening ──head of the upstream's answer──▶ streaming ──last byte──▶ verifying ──digest right──▶ storing
///   ──▶ ended
///      └── all sources failed ──▶ ended            └── cut, disk ──▶ ended    └── wrong ──▶ ended
///
/// The last block (64 KiB) is not readable before the digest is right: P1. From `storing` on the bytes are
/// complete for followers, and the index does not know them yet: the fill stays in the table until it does,
/// so that whoever asks now finds it (read your writes).
///
/// A failure before the first byte belongs to its source: followers who came through another repository go on
/// with theirs.
class Fill : public std::enable_shared_from_this<Fill> {
 public:
  enum class State { opening, streaming, verifying, storing, ended };

  /// `ended` is called once, on the home loop, when the table can forget this fill.
  Fill(Context& context, Digest digest, std::move_only_function<void()> ended);

  /// Starts with this source. REQUIRES: called once, first.
  void start(const Source& source);

  /// The head, when the upstream has answered; at once when that was before. The flow of a follower whose
  /// source is `source`; its right to the digest was checked or is being checked by this very fetch.
  Task<Result<FillHead>> head(Source source);
  /// Waits until bytes from `at` on are readable.
  Task<Result<Readable>> wait_readable(uint64_t at);

  State state() const { return state_; }
  const Digest& digest() const { return digest_; }
  /// The repository whose upstream is being asked.
  const cache::Repository& source() const { return sources_.front().repository; }
  /// The bytes were found in the cache when the fill was about to start; there is nothing to fetch.
  static bool is_already_cached(const Error& error);

 private:
  struct HeadWaiter {
    cache::Repository repository;
    Completion<Result<FillHead>>* done;
  };
  struct ByteWaiter {
    uint64_t at;
    Completion<Result<Readable>>* done;
  };

  static Task<void> run(std::shared_ptr<Fill> self);
  Task<Status> fetch(Source source);
  Task<Status> open_part(uint64_t size);
  Task<Status> stream(upstream::BlobBody& body);
  Task<Status> append(std::string bytes);
  Task<Status> settle();
  Task<Status> verify();
  Task<void> store(Source source);
  template <class Work>
  Task<Status> on_part(const char* name, Work work);

  void on_appended(uint64_t bytes, const Status& status);
  void publish(uint64_t end, bool is_verified);
  void announce(std::optional<uint64_t> size);
  void drop_source(const Error& error);
  void end(const Error& error);
  std::optional<Result<Readable>> readable_now(uint64_t at) const;

  Context& context_;
  const Digest digest_;
  std::move_only_function<void()> on_ended_;
  State state_ = State::opening;
  std::vector<Source> sources_;  // the first is asked; the others wait for their turn
  std::optional<FillHead> head_;
  std::shared_ptr<FillProgress> progress_;
  cache::Extents extents_;
  std::optional<Error> error_;
  std::vector<HeadWaiter> head_waiters_;
  std::vector<ByteWaiter> byte_waiters_;

  DiskStrand strand_;
  std::shared_ptr<cache::Part> part_;  // shared with the jobs under way
  uint64_t received_ = 0;              // bytes handed to the strand
  uint64_t appended_ = 0;              // bytes written
  Status append_status_;
  Completion<bool>* appended_waiter_ = nullptr;
};

}  // namespace entrepot::pull
