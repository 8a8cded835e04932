#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/digest.h"
#include "base/result.h"
#include "base/shared_fd.h"

namespace entrepot::cache {

/// A blob that is being fetched: a file under parts/, written from the start to the end and hashed on the
/// way. Published bytes are never overwritten or truncated: sockets refer to their pages. The descriptor
/// stays the same when the file gets its final name, so readers notice nothing.
///
/// Owned by the fill; its BLOCKING functions are run one after the other on the part's strand
/// (base/disk/disk_strand.h). Which bytes are readable is the fill's knowledge (extents.h), not the part's.
/// Destroyed without `place`, the file stays in parts/ for the next who asks, its space counted; `discard`
/// removes it.
class Part {
 public:
  virtual ~Part() = default;

  virtual const Digest& digest() const = 0;
  /// For readers.
  virtual SharedFd file() const = 0;
  /// BLOCKING. Writes at the end and adds to the hash. disk_full when no more room could be reserved; what
  /// was appended before stays readable.
  virtual Status append(std::string_view bytes) = 0;
  /// Bytes appended so far.
  virtual uint64_t size() const = 0;
  /// BLOCKING. Whether all that was appended hashes to the digest: digest_mismatch if not. Called once, after
  /// the last append.
  virtual Status verify() = 0;
  /// BLOCKING, after verify: fdatasync, link to the final name, fsync of the directory. A taken name is
  /// replaced.
  virtual Status place() = 0;
  /// BLOCKING. Removes the file and gives its room back.
  virtual void discard() = 0;
};

}  // namespace entrepot::cache
