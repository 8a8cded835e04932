#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop/timer.h"
#include "base/task/completion.h"
#include "proxy/pull/context.h"
#include "proxy/pull/retry_budget.h"
#include "proxy/pull/wrong_origins.h"

namespace entrepot::pull {

/// A piece of a blob, and where in the blob it belongs. Empty: the blob, or what was asked of it, ends there.
struct Chunk {
  uint64_t at = 0;
  std::string bytes;
};

/// The bytes of one blob as one repository's upstream gives them, in order, whatever happens on the way (P9):
/// a transfer that breaks is resumed by Range where it stopped, after a while, or from the next origin. Where
/// a Range is refused the bytes begin at 0 again: the reader sees that from Chunk::at. For fills and for
/// those who go past the cache; verifies nothing. A flow of one loop owns it, and keeps it until its call is
/// over.
class Download {
 public:
  /// What `wrong` knows orders the origins; `is_bypass`: for one client, at his pace.
  Download(Context& context, Source source, WrongOrigins& wrong, bool is_bypass);

  /// Asks for the bytes from `from` on, up to `until`: gives the blob's size, if anything tells it. Errors:
  /// of the first origin that has answered, else of the last that has not.
  Task<Result<std::optional<uint64_t>>> open(uint64_t from, std::optional<uint64_t> until = {});
  /// The next piece. `cancelled` after `cancel`. REQUIRES: open.
  Task<Result<Chunk>> read();
  /// What is read next begins at `at` and ends at `until`: what lies between has come another way.
  void skip_to(uint64_t at, std::optional<uint64_t> until);

  /// What came is wrong: `open` begins again, without the origins that it came from. False: no other is left.
  bool start_over();
  /// What came is right, as far as is known, and wanted from 0 once more.
  void start_again();
  /// Clients have been told this size: an origin that says another has not got the blob.
  void promise_size(uint64_t size) {
    size_ = size;
    is_size_promised_ = true;
  }
  /// Clients have been told that the blob is coming: every fault is worth all tries.
  void promise() { is_promised_ = true; }
  /// The size was an origin's mistake, perhaps.
  void forget_size() { size_.reset(); }
  /// Which origin gives the bytes. REQUIRES: open.
  size_t origin() const { return origins_[current_]; }
  /// No other is asked: before `open`.
  void keep_to(size_t origin) { origins_ = {origin}; }
  /// Bytes from 0 are of no use: an origin that refuses a Range is not asked again.
  void require_ranges() { requires_ranges_ = true; }
  /// One has refused it.
  bool is_range_refused() const { return is_range_refused_; }
  /// A try has failed, and the next is not begun.
  bool is_backing_off() const { return sleeper_ != nullptr; }
  /// Asked before each try but the first: whether the bytes are still wanted this way. Else `cancelled`.
  void try_again_while(std::move_only_function<bool()> is_wanted) { is_still_wanted_ = std::move(is_wanted); }
  /// Ends what is under way: the call that waits gets `cancelled`.
  void cancel();

 private:
  Task<Status> connect();
  std::optional<uint64_t> end() const { return until_ ? until_ : size_; }
  Status take(std::unique_ptr<upstream::BlobBody> body);
  Task<Status> recover(Error error);
  bool go_to_next_origin();
  void exclude(size_t origin);
  Task<bool> sleep(Duration duration);

  Context& context_;
  const Source source_;
  WrongOrigins& wrong_;
  const bool is_bypass_;
  upstream::Registry* registry_;
  std::vector<size_t> origins_;  // still to be asked, in order
  size_t current_ = 0;           // in origins_
  bool is_at_next_ = false;      // the current one was excluded: current_ is the one behind it already
  std::vector<size_t> used_;     // origins that have given bytes since the start
  std::unique_ptr<upstream::BlobBody> body_;
  std::optional<uint64_t> size_;
  std::optional<uint64_t> until_;
  bool is_size_promised_ = false;
  bool is_promised_ = false;
  bool requires_ranges_ = false;
  bool is_range_refused_ = false;
  uint64_t at_ = 0;
  uint64_t furthest_ = 0;
  bool has_head_ = false;      // some origin has answered
  bool has_progress_ = false;  // this transfer has brought something
  bool is_cancelled_ = false;
  std::optional<Error>
      no_answer_;         // what to say when nobody has the blob, though the upstream has not denied it
  size_t exhausted_ = 0;  // origins whose tries are used up
  RetryBudget budget_;
  Timer timer_;
  Completion<bool>* sleeper_ = nullptr;
  std::move_only_function<bool()> is_still_wanted_;
};

}  // namespace entrepot::pull
