#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cache/cache.h"
#include "cache/index.h"

namespace entrepot::cache {

/// What is in the cache, by image. Reads the index: BLOCKING, thread-safe; cheap to make. Each call is one
/// read transaction, and looks at one repository at a time.
class Inventory {
 public:
  explicit Inventory(const Index& index) : index_(index) {}

  /// A page of the images that `wanted` selects, in the order of their names, behind `after`: at most `most`,
  /// of one repository or of several. An empty page is the end.
  Result<std::vector<Image>> list(const ImageSelection& wanted, const std::optional<ImageName>& after,
                                  size_t most) const;
  Result<CacheTotals> totals() const;

  /// The first repository behind that one which may have something that is selected.
  Result<std::optional<Repository>> next_repository(const ImageSelection& wanted,
                                                    const std::optional<Repository>& after) const;

  /// What is to be done for one repository to purge what is selected there.
  struct Purge {
    std::vector<Image> images;
    std::vector<Image> pinned;  // stay
    std::vector<Commit::TagRemoval> tags;
    std::vector<Commit::Removal> removals;
  };
  Result<Purge> find_purge(const Repository& repository, const ImageSelection& wanted) const;
  /// Of `removals`: those that nobody holds otherwise and that are not pinned, with their bytes on disk.
  /// `removed` remembers, from call to call, which links are taken for gone.
  struct Freed {
    uint64_t blobs = 0;
    uint64_t disk_bytes = 0;
  };
  using RemovedLinks = std::set<std::pair<Digest, uint32_t>>;
  Result<Freed> find_freed(const std::vector<Commit::Removal>& removals, RemovedLinks& removed) const;

  /// All of an image that is here: its manifests and blobs, and what refers to them in its repository.
  struct Pin {
    std::vector<Digest> blobs;
    uint64_t bytes = 0;
    uint64_t missing = 0;
  };
  Result<Pin> find_pin(const Image& image) const;
  /// What is pinned and belongs to no pinned image but that of `manifest`.
  Result<std::vector<Digest>> find_unpin(const Digest& manifest) const;

 private:
  const Index& index_;
};

}  // namespace entrepot::cache
