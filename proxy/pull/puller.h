#pragma once

#include <span>
#include <vector>

#include "proxy/pull/blobs.h"
#include "proxy/pull/fills.h"
#include "proxy/pull/listings.h"
#include "proxy/pull/manifests.h"
#include "proxy/pull/miss_limit.h"
#include "proxy/pull/tags.h"

namespace entrepot::pull {

enum class ObjectState { absent, filling, committed };

/// The pull path of one loop: what the registry API asks for manifests and blobs. Made by main, one per loop;
/// `connect` tells each its siblings before the loops run. All state is one loop's; a digest or tag whose
/// home is another loop is asked there.
class Puller {
 public:
  explicit Puller(Context context);
  void connect(std::span<Puller* const> siblings);

  Blobs& blobs() { return blobs_; }
  Manifests& manifests() { return manifests_; }
  Tags& tags() { return tags_; }
  Listings& listings() { return listings_; }
  Fills& fills() { return fills_; }
  MissLimit& misses() { return misses_; }
  const Context& context() const { return context_; }

  /// Whether the upstream may be asked, for this client, for a name that the cache does not know (MissLimit).
  /// The name's home loop.
  Status may_ask_for(const std::string& client) const;

  /// What `acknowledged` means for a digest: committed = it survives a crash.
  Task<Result<ObjectState>> state_of(Digest digest);

  EventLoop& home_of(const Digest& digest) const { return context_.loops.home_of(digest.hash()); }
  EventLoop& home_of_tag(const cache::Repository& repository, const std::string& tag) const;
  Puller& at(const EventLoop& loop) const { return *siblings_[static_cast<size_t>(loop.index())]; }

 private:
  Task<Result<ObjectState>> state_at_home(Digest digest);

  Context context_;
  std::vector<Puller*> siblings_;
  MissLimit misses_;
  Fills fills_;
  Blobs blobs_;
  Manifests manifests_;
  Tags tags_;
  Listings listings_;
};

}  // namespace entrepot::pull
