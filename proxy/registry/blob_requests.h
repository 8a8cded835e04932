#pragma once

#include <memory>

#include "proxy/http/exchange.h"
#include "proxy/pull/addressing.h"
#include "proxy/pull/puller.h"
#include "proxy/registry/hot_answers.h"
#include "proxy/registry/range.h"

namespace entrepot::registry {

/// GET and HEAD of /v2/<name>/blobs/<digest> (end-2). One per loop.
class BlobRequests {
 public:
  BlobRequests(pull::Puller& puller, HotAnswers& hot) : puller_(puller), hot_(hot) {}

  /// From a descriptor that is at hand: the hit path, no flow.
  static void send_cached(http::Exchange& exchange, const Digest& digest, const SharedFd& file, uint64_t size,
                          const std::string& ns);
  /// A flow for all else; ends when the answer is finished or cut.
  Task<void> answer(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target, Digest digest);

 private:
  Task<void> answer_head(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target,
                         Digest digest);
  Task<void> follow(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target, Digest digest,
                    pull::OpenBlob blob);
  Task<void> send_followed(std::shared_ptr<http::Exchange> exchange, http::Head head,
                           pull::FillReader& reader, ByteRange range, bool is_size_known);
  Task<void> keep_hot(std::string key, HotAnswer hot);

  pull::Puller& puller_;
  HotAnswers& hot_;
};

}  // namespace entrepot::registry
