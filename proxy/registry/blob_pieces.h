#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "proxy/http/exchange.h"
#include "proxy/registry/range.h"

namespace entrepot::registry {

/// Which bytes of a blob an answer carries: all, one range, or several as multipart/byteranges (RFC 9110
/// sections 14.2 and 14.6), in the order asked for. Made from a request; a value. The body is, for each
/// piece, `before(i)` and the bytes of `ranges()[i]`; then `after()`.
class BlobPieces {
 public:
  /// Small pieces go out without anybody waiting for them: after so many it is others' turn.
  static constexpr size_t kPiecesPerTurn = 16;

  /// All of it; of an unknown size when there is none.
  static BlobPieces whole(std::optional<uint64_t> size);
  /// What the request's Range asks of a blob of that size, when its If-Range agrees with `digest`. Sets the
  /// status and the fields of `head`. nullopt: the request has been answered, with 416 or 400.
  static std::optional<BlobPieces> asked_for(http::Exchange& exchange, const Digest& digest, uint64_t size,
                                             http::Head& head);

  const std::vector<ByteRange>& ranges() const { return ranges_; }
  bool is_multipart() const { return !boundary_.empty(); }
  std::string before(size_t index) const;
  std::string after() const;
  /// Of the body; nothing when the blob's size is not known.
  std::optional<uint64_t> length() const;
  /// No piece reaches the blob's last byte: it may be complete before the digest is right.
  bool is_inside() const;

 private:
  std::vector<ByteRange> ranges_;
  std::optional<uint64_t> size_;
  std::string boundary_;  // "" = no multipart
};

}  // namespace entrepot::registry
