#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/loop/event_loop.h"
#include "upstream/origin.h"
#include "upstream/origin_client.h"
#include "upstream/public_repositories.h"

namespace entrepot::upstream {

/// An upstream's url with `access = "public"`: our credential is shown for its rate limit, and nobody gets
/// what he could not have without it. A repository is proven public by an answer that came without it; that
/// answer is used when it is what was asked for.
///
///     question                 not proven                            proven
///     HEAD                     asked without, which proves it        asked with our credential
///     GET                      HEAD without, which proves it, first  asked with our credential
///     a listing                asked without                         asked with our credential
///
/// A listing proves nothing: a registry may have an empty one for whoever asks.
/// A credential that is refused is told (once a minute) and left out for a minute: what is public can be had
/// without.
class PublicClient final : public OriginClient {
 public:
  /// All outlives this. `anonymous` asks the same place as `own`, with no credential.
  PublicClient(const Origin& origin, EventLoop& loop, OriginClient& own, OriginClient& anonymous,
               PublicRepositories& repositories)
      : origin_(origin), loop_(loop), own_(own), anonymous_(anonymous), repositories_(repositories) {}

  Task<Result<ManifestHead>> head_manifest(std::string repository, Reference reference) override;
  Task<Result<ManifestBody>> get_manifest(std::string repository, Reference reference) override;
  Task<Result<BlobHead>> head_blob(std::string repository, Digest digest) override;
  Task<Result<std::unique_ptr<BlobBody>>> get_blob(BlobRequest request) override;
  Task<Result<ListingPage>> list(ListingRequest request) override;

 private:
  bool is_proven(const std::string& repository) const;
  /// Notes what an answer that came without our credential proves.
  template <class T>
  void note_anonymous(const std::string& repository, const Result<T>& answer) const;
  template <class T>
  using Question = std::move_only_function<Task<Result<T>>(OriginClient&)>;
  /// About a proven repository; without our credential while that is refused.
  template <class T>
  Task<Result<T>> ask_with_credential(Question<T> question);

  const Origin& origin_;
  EventLoop& loop_;
  OriginClient& own_;
  OriginClient& anonymous_;
  PublicRepositories& repositories_;
};

}  // namespace entrepot::upstream
