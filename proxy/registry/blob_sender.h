#pragma once

#include <memory>

#include "proxy/http/exchange.h"
#include "proxy/pull/puller.h"
#include "proxy/registry/blob_pieces.h"

namespace entrepot::registry {

/// The body of a blob that is not in the cache, or not yet: read where a fill says, or from the stream past
/// the cache, and sent at the client's pace. What can't be completed is cut, never padded. One loop's flows;
/// the exchange is finished or aborted afterwards.
class BlobSender {
 public:
  BlobSender(pull::Puller& puller, std::shared_ptr<http::Exchange> exchange, cache::Repository repository,
             Digest digest)
      : puller_(puller),
        exchange_(std::move(exchange)),
        repository_(std::move(repository)),
        digest_(digest) {}

  /// From a fill. Without a known size the only piece is everything, and the body is chunked.
  Task<void> follow(http::Head head, pull::FillReader& reader, BlobPieces pieces);
  /// Past the cache. REQUIRES: one piece.
  Task<void> stream(http::Head head, pull::Bypass& bypass, BlobPieces pieces);

 private:
  /// True: the piece is out, or nobody is there to miss it.
  Task<bool> follow_piece(pull::FillReader& reader, ByteRange piece);
  Task<bool> send_rest(pull::FillReader& reader, ByteRange rest, Error failure);
  Task<bool> send_from(pull::Bypass& bypass, ByteRange range);
  Task<void> write(std::string text);

  pull::Puller& puller_;
  const std::shared_ptr<http::Exchange> exchange_;
  const cache::Repository repository_;
  const Digest digest_;
};

}  // namespace entrepot::registry
