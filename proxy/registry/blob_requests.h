#pragma once

#include <memory>

#include "proxy/http/exchange.h"
#include "proxy/pull/puller.h"
#include "proxy/registry/addressing.h"
#include "proxy/registry/range.h"

namespace entrepot::registry {

/// GET and HEAD of /v2/<name>/blobs/<digest> (end-2). One per loop.
class BlobRequests {
 public:
  explicit BlobRequests(pull::Puller& puller) : puller_(puller) {}

  /// From a descriptor that is at hand: the hit path, no flow.
  static void send_cached(http::Exchange& exchange, const Digest& digest, const SharedFd& file, uint64_t size,
                          const std::string& ns);
  /// A flow for all else; ends when the answer is finished or cut.
  Task<void> answer(std::shared_ptr<http::Exchange> exchange, Addressing::Target target, Digest digest);

 private:
  Task<void> answer_head(std::shared_ptr<http::Exchange> exchange, Addressing::Target target, Digest digest);
  Task<void> follow(std::shared_ptr<http::Exchange> exchange, Addressing::Target target, Digest digest, pull::OpenBlob blob);
  Task<void> send_followed(std::shared_ptr<http::Exchange> exchange, http::Head head, pull::FillReader& reader, ByteRange range,
                           bool is_size_known);
  Task<void> keep_hot(std::string key, pull::HotAnswer hot);

  pull::Puller& puller_;
};

}  // namespace entrepot::registry
