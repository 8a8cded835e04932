#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cache/blob_files.h"
#include "cache/cache.h"
#include "cache/file_use.h"
#include "cache/index.h"

namespace entrepot::cache {

/// Goes through the committed blobs and compares their files with what their names promise. One thread's;
/// BLOCKING.
class BlobCheck {
 public:
  BlobCheck(Index& index, OpenFiles& uses, BlobFiles& blobs);

  struct Found {
    Digest digest;
    BlobRow row;
  };
  /// The next ones in the order of their keys; `from` becomes where to go on, "" at the end.
  Result<std::vector<Found>> slice(std::string& from) const;
  /// Those that were used last.
  Result<std::vector<Found>> youngest(size_t most) const;

  /// Told of what is read, in bytes; false = leave off, and `look_at` gives `cancelled`.
  using Spend = std::function<bool(uint64_t)>;
  /// What is wrong with its file; "" = nothing. `inode` becomes that of a file whose bytes are wrong. Pages
  /// that were not in memory before do not stay in memory.
  Result<std::string> look_at(const Found& blob, const Spend& spend, uint64_t& inode);
  Result<DamagedBlob> describe(const Digest& digest) const;

  /// What is wrong with the bytes of an open file; as look_at.
  Result<std::string> hash(int file, const Digest& digest, const Spend& spend);

 private:
  Index& index_;
  OpenFiles& uses_;
  BlobFiles& blobs_;
  std::string buffer_;
};

}  // namespace entrepot::cache
