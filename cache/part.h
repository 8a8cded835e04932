#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/digest.h"
#include "base/hasher.h"
#include "base/result.h"
#include "base/shared_fd.h"
#include "cache/extents.h"

namespace entrepot::cache {

/// How far a part is hashed, and the hash so far.
struct PartHash {
  uint64_t size = 0;
  Hasher hash;  // of [0, size)
};

/// A blob that is being fetched: a file under parts/, written and hashed from the start to the end. Bytes may
/// come ahead of their turn: they are written then, and hashed when it has come. Published bytes are never
/// overwritten or truncated: sockets refer to their pages. The descriptor stays the same when the file gets
/// its final name, so readers notice nothing.
///
///     found bytes --absorb--> hashed --append--> hashed --verify--> --place--> a blob
///     write_ahead … --absorb--^   \--rewind--> hashed again from 0, compared with what was published
///
/// Owned by the fill; its BLOCKING functions are run one after the other on the part's strand
/// (base/disk/disk_strand.h). Which bytes are readable is the fill's knowledge (extents.h), not the part's.
/// Left, or destroyed without `place`, the file stays in parts/ for the next who asks, its space counted;
/// `discard` removes it.
class Part {
 public:
  virtual ~Part() = default;

  virtual const Digest& digest() const = 0;
  /// For readers.
  virtual SharedFd file() const = 0;
  /// What an earlier fetch left in the file, from 0: right as far as anybody knows, but not hashed.
  virtual uint64_t found() const = 0;
  /// BLOCKING. Makes sure that a blob of `size` bytes has room: disk_full, after at most a second, when not.
  virtual Status reserve(uint64_t size) = 0;
  /// BLOCKING. Hashes the next bytes of what was found or written ahead, at most `limit`.
  virtual Status absorb(uint64_t limit) = 0;
  /// BLOCKING. Writes at the end and adds to the hash. disk_full when no more room could be reserved; what
  /// was appended before stays readable. REQUIRES: all that was found or written ahead here is absorbed.
  virtual Status append(std::string_view bytes) = 0;
  /// BLOCKING. Writes at `at`, ahead of the hash. disk_full as `append`. REQUIRES: nothing is written there.
  virtual Status write_ahead(uint64_t at, std::string_view bytes) = 0;
  /// BLOCKING. Begins again at 0. The bytes `kept`, which readers have, stay as they are: what is appended
  /// there is compared with them, and digest_mismatch if it differs; elsewhere it replaces.
  virtual Status rewind(const Extents& kept) = 0;
  /// Bytes absorbed and appended so far.
  virtual uint64_t size() const = 0;
  /// The hash of these, for whoever goes on without the part.
  virtual PartHash hash() const = 0;
  /// Whether all that was appended hashes to the digest: digest_mismatch if not. Called once, after
  /// the last append.
  virtual Status verify() = 0;
  /// BLOCKING, after verify: fdatasync, link to the final name, fsync of the directory. A taken name is
  /// replaced.
  virtual Status place() = 0;
  /// BLOCKING. Nobody fetches it any more: the file is there for the next who asks, from now on.
  virtual void leave() = 0;
  /// BLOCKING. Removes the file and gives its room back.
  virtual void discard() = 0;
};

}  // namespace entrepot::cache
