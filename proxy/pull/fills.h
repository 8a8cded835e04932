#pragma once

#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "base/task/single_flight.h"
#include "proxy/pull/fill.h"
#include "proxy/pull/pending_links.h"
#include "proxy/pull/wrong_origins.h"

namespace entrepot::pull {

/// The running fills of the digests whose home is this loop: one fill for each digest, whoever asks. Loop's
/// thread only; other loops come by `call_on`.
class Fills {
 public:
  explicit Fills(Context& context) : context_(context) {}

  struct Joined {
    std::shared_ptr<Fill> fill;
    FillHead head;
    bool has_started_it = false;
  };

  /// Shares the fill of `source.digest`, or starts it. Who comes without a link, through another repository
  /// than the one the fill asks, first proves to the upstream that his repository holds the blob too: bytes
  /// are shared, rights are not. `cancelled` means: look it up again.
  Task<Result<Joined>> join(Source asked);

  /// Asks the upstream whether the repository holds the blob, by one HEAD however many ask at once.
  Task<Result<upstream::BlobHead>> head(Source source);

  /// A manifest that was fetched into memory is stored without a fill: waits until nobody else writes this
  /// digest, and keeps fills of it waiting until `release`.
  Task<bool> claim(Digest digest);
  void release(const Digest& digest);

  bool is_filling(const Digest& digest) const { return fills_.contains(digest); }
  PendingLinks& pending_links() { return pending_links_; }
  WrongOrigins& wrong_origins() { return wrong_origins_; }

 private:
  struct TooLarge {
    uint64_t size = 0;
    MonotonicTime until;
  };
  Task<Source> find_right(Source source);
  Task<Status> make_link(Source source);
  Task<Status> prove_right(Source source);
  Task<Result<upstream::BlobHead>> ask_head(Source source);
  std::shared_ptr<Fill> start(const Source& source);
  bool is_known_too_large(const Digest& digest);
  void note_too_large(const Fill& fill, const Digest& digest);
  Task<bool> until_free(Digest digest);
  void wake(const Digest& digest);

  Context& context_;
  std::unordered_map<Digest, std::shared_ptr<Fill>, DigestHash> fills_;
  std::unordered_set<Digest, DigestHash> claimed_;
  std::unordered_multimap<Digest, Completion<bool>*, DigestHash> waiting_;  // for a fill or a claim to end
  PendingLinks pending_links_;
  WrongOrigins wrong_origins_;
  // Found out by a fill, on an upstream's word: not to be tried again before that time.
  std::unordered_map<Digest, TooLarge, DigestHash> too_large_;
  SingleFlight<Result<upstream::BlobHead>> heads_;
};

}  // namespace entrepot::pull
