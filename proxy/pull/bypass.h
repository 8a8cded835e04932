#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/hasher.h"
#include "proxy/pull/download.h"
#include "proxy/pull/fill.h"

namespace entrepot::pull {

/// One client's own way to a blob that the cache can't hold: larger than the budget, nothing to evict, the
/// disk full or broken. Streamed from the upstream in memory of a bounded size, at the client's pace,
/// verified on the way like a fill: the last 64 KiB come when the digest is right (P1), and a transfer that
/// breaks is resumed (P9). Asks the client's own repository, so it proves his right as well. Of the client's
/// loop.
class Bypass {
 public:
  /// Asks the upstream; gives back when it has answered.
  static Task<Result<std::unique_ptr<Bypass>>> open(Context& context, WrongOrigins& wrong, Source source);
  /// What a client has already: the first bytes, and the blob's size if he was told one.
  struct Given {
    uint64_t bytes = 0;
    std::optional<uint64_t> size;
  };
  /// Goes on where a fill had to stop.
  static Task<Result<std::unique_ptr<Bypass>>> resume(Context& context, WrongOrigins& wrong, Source source,
                                                      Remainder remainder, Given given);
  Bypass(Context& context, WrongOrigins& wrong, Source source);

  /// What the upstream or a manifest says.
  std::optional<uint64_t> size() const { return size_; }
  /// How many bytes have been given, from the blob's start: where the next ones belong.
  uint64_t given() const { return given_; }
  /// The next bytes, in order from 0 (or `given`); empty: the blob is complete, and right. digest_mismatch
  /// when it is not, and the upstream's errors: what was given must be cut.
  Task<Result<std::string>> read();
  /// The client has gone: a read that is under way gets `cancelled`.
  void cancel() { download_.cancel(); }
  /// Instead of `read`, from the start: only bytes from `at` on are wanted, and not those at the end, so
  /// nothing can be verified. `read` then gives bytes from there, as they come.
  Task<Status> skip_to(uint64_t at);

 private:
  Task<Status> begin(uint64_t from);
  Task<Status> begin_again(Error wrong);
  Status take(Chunk chunk);
  Status finish();
  std::string release(size_t count);

  Context& context_;
  Download download_;
  const Digest digest_;
  std::optional<uint64_t> size_;
  bool is_verifying_ = true;
  Hasher hash_;  // of [0, hashed_)
  uint64_t hashed_ = 0;
  std::optional<Hasher> replay_;  // a Range was refused: of [0, replayed_), until that is hashed_
  uint64_t replayed_ = 0;
  std::string held_;    // bytes [given_, hashed_)
  uint64_t given_ = 0;  // bytes [0, given_) are the client's
  bool is_complete_ = false;
};

}  // namespace entrepot::pull
