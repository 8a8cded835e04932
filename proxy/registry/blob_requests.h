#pragma once

#include <memory>

#include "proxy/http/exchange.h"
#include "proxy/pull/addressing.h"
#include "proxy/pull/puller.h"
#include "proxy/registry/blob_pieces.h"
#include "proxy/registry/hot_answers.h"

namespace entrepot::registry {

/// GET and HEAD of /v2/<name>/blobs/<digest> (end-2). One per loop.
class BlobRequests {
 public:
  struct Options {
    bool unverified_ranges = true;  // bytes inside a blob may be sent before its digest is right
  };
  BlobRequests(pull::Puller& puller, HotAnswers& hot, Options options)
      : puller_(puller), hot_(hot), options_(options) {}

  /// A complete blob whose descriptor is at hand.
  struct CachedBlob {
    Digest digest;
    SharedFd file;
    uint64_t size = 0;
    std::string ns;  // OCI-Namespace
  };
  /// The hit path: no flow, but for an answer of several pieces.
  static void send_cached(const std::shared_ptr<http::Exchange>& exchange, const CachedBlob& blob);
  /// A flow for all else; ends when the answer is finished or cut.
  Task<void> answer(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target, Digest digest);

 private:
  Task<void> answer_head(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target,
                         Digest digest);
  Task<void> follow(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target, Digest digest,
                    pull::OpenBlob blob);
  Task<void> go_past_cache(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target,
                           Digest digest);
  Task<void> stream(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target, Digest digest,
                    pull::OpenBlob blob);
  Task<void> send_small(std::shared_ptr<http::Exchange> exchange, http::Head head, Digest digest,
                        pull::Bypass& bypass);
  static Task<void> send_pieces(std::shared_ptr<http::Exchange> exchange, http::Head head, SharedFd file,
                                BlobPieces pieces);
  Task<void> keep_hot(std::string key, HotAnswer hot);

  pull::Puller& puller_;
  HotAnswers& hot_;
  const Options options_;
};

}  // namespace entrepot::registry
