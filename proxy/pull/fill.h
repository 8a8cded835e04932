#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hasher.h"
#include "base/task/completion.h"
#include "cache/extents.h"
#include "proxy/pull/context.h"
#include "proxy/pull/download.h"
#include "proxy/pull/part_writer.h"
#include "proxy/pull/stretches.h"

namespace entrepot::pull {

/// How much of a blob's end nobody is given before its digest is right (P1), and up to which size a blob is
/// verified before its head is sent.
constexpr uint64_t kHeldBackBlock = 64 * 1024;

/// What a follower may look at without asking the fill's home loop: how far the bytes are readable. Written
/// by the home loop alone.
struct FillProgress {
  std::atomic<uint64_t> readable{0};     // bytes [0, readable) may be sent; further ones the home loop knows
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

/// Where a fill stopped that could not store more: its followers go on from here, each for himself.
struct Remainder {
  uint64_t at = 0;
  Hasher hash;  // of [0, at)
};

/// The fetch of one blob into its part, for however many wait for it. A flow on the home loop of the digest,
/// which owns it; it outlives those who asked. Followers on all loops read the part where it is readable
/// (FillReader).
///
///   opening ──head of the upstream's answer──▶ streaming ──all there──▶ verifying ──digest right──▶ storing
///      │                                       │  ▲                         │ wrong: again, from another
///      │                                       │  └─────────────────────────┘ origin or source
///      └── every source has failed, the disk has, or nobody waits ──▶ ending ──▶ ended ◀── storing
///
/// One main stream reads from the start to the end. Where somebody waits for bytes that it would not reach
/// soon, stretches are fetched beside it (Stretches), and it leaves them out.
///
/// The last block (64 KiB) is not readable before the digest is right: P1. From `storing` on the bytes are
/// complete for followers, and the index does not know them yet: the fill stays in the table until it does,
/// so that whoever asks now finds it (read your writes).
///
/// Errors belong to their source: when one repository's upstream gives up, those who came through it and have
/// no answer yet get its error, and the fill goes on from the next one's. With nobody left it goes on when
/// more than half is there or less than 64 MiB are missing, else the part is kept for the next who asks.
class Fill : public std::enable_shared_from_this<Fill> {
 public:
  enum class State { opening, streaming, verifying, storing, ending, ended };
  /// How it ended: with the blob in the cache, or not.
  enum class Ending { none, cached, failed };

  /// `ended` is called once, on the home loop, when the table can forget this fill.
  Fill(Context& context, WrongOrigins& wrong, Digest digest, std::move_only_function<void()> ended);

  /// Starts with this source. REQUIRES: called once, first.
  void start(const Source& source);

  /// The head, when the upstream has answered; at once when that was before. The flow of a follower whose
  /// source is `source`; its right to the digest was checked or is being checked by this very fetch. Whoever
  /// gets a head counts as a follower until he says `leave`. Errors, beside the source's own: `cancelled`
  /// (look it up again: it is cached, or nobody was left), disk_full and io_error (it can't be stored).
  Task<Result<FillHead>> head(Source source);
  void leave();
  /// Waits until bytes from `at` on are readable, of which those before `until` are wanted: they are fetched
  /// beside the main stream when that is far away. disk_full and io_error: see `remainder`.
  Task<Result<Readable>> wait_readable(uint64_t at, uint64_t until);
  /// These are going to be waited for.
  void want(const std::vector<cache::Extent>& extents);
  /// After such an error: where to go on.
  Task<Result<Remainder>> remainder();

  Ending ending() const { return ending_; }
  /// As the upstream or a manifest told it.
  std::optional<uint64_t> size() const { return size_; }
  /// It has failed and is being put away: too late to join.
  bool is_ending() const { return state_ == State::ending; }
  /// The repository whose upstream is being asked.
  const cache::Repository& source() const { return sources_.front().repository; }

  /// The error says that the blob can't be stored, not that it can't be had.
  static bool is_store_failure(const Error& error);

 private:
  struct HeadWaiter {
    cache::Repository repository;
    Completion<Result<FillHead>>* done;
  };
  struct ByteWaiter {
    uint64_t at;
    uint64_t until;
    Completion<Result<Readable>>* done;
  };

  static Task<void> run(std::shared_ptr<Fill> self);
  Task<Status> fetch_from_sources();
  Task<Status> fetch(Source source);
  Task<Status> stream(Download& download);
  Task<Status> accept(std::optional<uint64_t> size);
  Task<Status> write(Download& download, Chunk chunk);
  Task<Status> read_again();
  Task<Result<bool>> turn_to_hole(Download& download);
  Task<Status> verify();
  Task<Status> begin_again(Download& download, Error wrong);
  Task<void> store();
  Task<void> put_away(Error error);

  bool is_wanted() const;
  bool is_worth_finishing() const;
  bool may_change_size() const;
  void begin_stretches(size_t origin);
  void stop_stretches();
  void want(cache::Extent wanted);
  void on_written(cache::Extent written);
  void publish(cache::Extent extent, bool is_verified);
  void announce();
  void drop_source(const Error& error);
  void end(Ending ending, const Error& error);
  std::optional<Result<Readable>> readable_now(uint64_t at) const;

  Context& context_;
  WrongOrigins& wrong_;
  const Digest digest_;
  std::move_only_function<void()> on_ended_;
  State state_ = State::opening;
  Ending ending_ = Ending::none;
  std::vector<Source> sources_;  // the first is asked; the others wait for their turn
  std::shared_ptr<PartWriter> writer_;
  std::unique_ptr<Download> download_;
  std::shared_ptr<Stretches> stretches_;  // while streaming, where Ranges work
  bool reads_in_order_ = false;           // something was read again: from now on without stretches
  uint64_t main_at_ = 0;                  // the next byte of the main stream
  Completion<bool>* stretch_over_ = nullptr;
  std::optional<uint64_t> size_;
  bool is_distrusted_ = false;  // what was published is not what the upstream has now
  bool is_doubtful_ = false;    // the part has had wrong bytes: not to be kept
  uint64_t alone_since_ = 0;    // received when the last follower left

  std::optional<FillHead> head_;
  std::shared_ptr<FillProgress> progress_;
  cache::Extents extents_;
  std::optional<Error> error_;
  std::optional<Remainder> remainder_;
  size_t followers_ = 0;
  std::vector<HeadWaiter> head_waiters_;
  std::vector<ByteWaiter> byte_waiters_;
};

}  // namespace entrepot::pull
