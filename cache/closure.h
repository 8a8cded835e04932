#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "cache/index.h"

namespace entrepot::cache {

/// A manifest and all that it names, down to the blobs, each once: what is here, and how much is not. A value
/// of one thread; lives within the view's transaction.
class Closure {
 public:
  explicit Closure(IndexView view) : view_(view) {}

  /// Takes it in, with what it names. It may be a blob.
  Status add(const Digest& digest);
  /// Takes in what refers to the manifests that are in: by its `subject`, or by the tag that the
  /// distribution-spec v1.1 has for registries without a referrers API ("sha256-<hex>").
  Status add_referrers(const LmdbTxn& txn);

  const std::vector<Digest>& here() const { return here_; }
  bool contains(const Digest& digest) const { return seen_.contains(digest); }
  uint64_t missing() const { return seen_.size() - here_.size(); }
  uint64_t bytes() const { return bytes_; }

 private:
  Result<std::vector<Digest>> referrers_of(const LmdbTxn& txn, const Digest& subject) const;

  IndexView view_;
  std::unordered_set<Digest, DigestHash> seen_;
  std::vector<Digest> here_;
  uint64_t bytes_ = 0;
};

}  // namespace entrepot::cache
