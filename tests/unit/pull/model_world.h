#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "cache/cache.h"

namespace entrepot::model {

using Random = std::mt19937_64;

inline uint64_t below(Random& random, uint64_t limit) { return random() % limit; }
inline bool chance(Random& random, uint64_t percent) { return random() % 100 < percent; }
std::string random_bytes(Random& random, size_t size);

/// What the model found to be wrong. Any thread.
class Complaints {
 public:
  void add(std::string complaint) {
    std::lock_guard lock(mutex_);
    all_.push_back(std::move(complaint));
  }
  std::vector<std::string> all() const {
    std::lock_guard lock(mutex_);
    return all_;
  }
  bool is_empty() const {
    std::lock_guard lock(mutex_);
    return all_.empty();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> all_;
};

/// What exists: a few blobs in a few repositories of two upstreams, and who may have what. Never changes, but
/// for what is known of wrong bytes that were sent. Any thread.
class World {
 public:
  struct Blob {
    std::string bytes;
    Digest digest;
  };
  /// What a repository's upstream says of a blob, when it is honest and well.
  enum class Right { granted, missing, forbidden };

  /// `too_large`: the size of one more blob; 0 = none.
  World(Random& random, uint64_t too_large);

  const std::vector<Blob>& blobs() const { return blobs_; }
  const std::vector<cache::Repository>& repositories() const { return repositories_; }
  Right right(size_t repository, size_t blob) const { return rights_[repository][blob]; }
  Right right(const std::string& upstream, const std::string& repository, const Digest& digest) const;
  size_t blob_of(const Digest& digest) const;

  /// Bytes that are not the blob's, and that somebody may see before the digest is checked.
  void add_wrong(size_t blob, uint64_t at, std::string bytes);
  bool has_wrong(size_t blob) const;
  /// What is wrong with somebody having got `bytes` at `at`; "" = they are the blob's, or were sent wrong.
  /// `is_right`: is cleared when they are not the blob's.
  std::string judge(size_t blob, uint64_t at, std::string_view bytes, bool& is_right) const;

 private:
  struct Wrong {
    uint64_t at;
    std::string bytes;
  };
  bool was_sent(size_t blob, uint64_t at, char byte) const;

  std::vector<Blob> blobs_;
  std::vector<cache::Repository> repositories_;
  std::vector<std::vector<Right>> rights_;
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<Wrong>> wrong_;
};

}  // namespace entrepot::model
