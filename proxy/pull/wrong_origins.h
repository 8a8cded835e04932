#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "base/digest.h"

namespace entrepot::pull {

/// Which origins have given wrong bytes of a digest. For that digest they are asked last from then on, the
/// one that was wrong most recently last of all: not never, because they may be mended, and are perhaps all
/// there is. It says nothing of the origin's health. One per loop; bounded, the whole is forgotten when it is
/// full.
class WrongOrigins {
 public:
  void add(const Digest& digest, const std::string& upstream, size_t origin) {
    if (by_digest_.size() >= kMaxDigests && !by_digest_.contains(digest)) by_digest_.clear();
    std::vector<Origin>& origins = by_digest_[digest];
    std::erase_if(origins,
                  [&](const Origin& one) { return one.upstream == upstream && one.number == origin; });
    origins.push_back({upstream, origin});
  }
  /// 0: never wrong; else the higher, the more recently.
  size_t rank(const Digest& digest, const std::string& upstream, size_t origin) const {
    auto found = by_digest_.find(digest);
    if (found == by_digest_.end()) return 0;
    const std::vector<Origin>& origins = found->second;
    for (size_t i = 0; i < origins.size(); ++i)
      if (origins[i].upstream == upstream && origins[i].number == origin) return i + 1;
    return 0;
  }

 private:
  static constexpr size_t kMaxDigests = 1024;
  struct Origin {
    std::string upstream;
    size_t number = 0;
  };
  std::unordered_map<Digest, std::vector<Origin>, DigestHash> by_digest_;  // in the order of their faults
};

}  // namespace entrepot::pull
