#pragma once

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proxy/pull/context.h"

namespace entrepot::pull {

/// Links that a verified manifest has made and the index does not hold yet: part of "read your writes". A
/// client asks for the blobs of a manifest milliseconds after it. On the home loop of each digest; an entry
/// lives from the manifest's verification until the commit that holds it.
class PendingLinks {
 public:
  void add(const Source& source) { by_digest_[source.digest].push_back(source); }

  void remove(const Source& source) {
    auto found = by_digest_.find(source.digest);
    if (found == by_digest_.end()) return;
    std::vector<Source>& sources = found->second;
    auto one = std::ranges::find(sources, source.repository, &Source::repository);
    if (one != sources.end()) sources.erase(one);
    if (sources.empty()) by_digest_.erase(found);
  }

  const Source* find(const cache::Repository& repository, const Digest& digest) const {
    auto found = by_digest_.find(digest);
    if (found == by_digest_.end()) return nullptr;
    auto one = std::ranges::find(found->second, repository, &Source::repository);
    return one == found->second.end() ? nullptr : &*one;
  }

 private:
  std::unordered_map<Digest, std::vector<Source>, DigestHash> by_digest_;
};

}  // namespace entrepot::pull
