#pragma once

#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "proxy/pull/fill.h"
#include "proxy/pull/pending_links.h"

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
  /// are shared, rights are not. The error `Fill::is_already_cached` means: look it up again.
  Task<Result<Joined>> join(Source source);

  /// A manifest that was fetched into memory is stored without a fill: waits until nobody else writes this
  /// digest, and keeps fills of it waiting until `release`.
  Task<bool> claim(Digest digest);
  void release(const Digest& digest);

  bool is_filling(const Digest& digest) const { return fills_.contains(digest); }
  PendingLinks& pending_links() { return pending_links_; }

 private:
  Task<Status> make_link(Source source);
  Task<Status> prove_right(Source source);
  Task<bool> until_free(Digest digest);
  void wake(const Digest& digest);

  Context& context_;
  std::unordered_map<Digest, std::shared_ptr<Fill>, DigestHash> fills_;
  std::unordered_set<Digest, DigestHash> claimed_;
  std::unordered_multimap<Digest, Completion<bool>*, DigestHash> waiting_;  // for a fill or a claim to end
  PendingLinks pending_links_;
};

}  // namespace entrepot::pull
