#include "upstream/mirrored_registry.h"

#include <utility>

#include "base/check.h"

namespace entrepot::upstream {

MirroredRegistry::MirroredRegistry(const Upstream& upstream, std::vector<OriginClient*> clients)
    : upstream_(upstream), clients_(std::move(clients)) {
  CHECK(!clients_.empty() && clients_.size() == upstream.origins.size());
}

OriginClient& MirroredRegistry::client(size_t origin) const {
  CHECK(origin < clients_.size());
  return *clients_[origin];
}

Task<Result<ManifestHead>> MirroredRegistry::head_manifest(std::string repository, Reference reference) {
  OriginClient& url = client(0);
  Result<ManifestHead> first = co_await url.head_manifest(repository, reference);
  if (first || !is_no_answer(first.error())) co_return first;
  for (size_t i = 1; i < clients_.size(); ++i) {
    OriginClient& mirror = client(i);
    Result<ManifestHead> head = co_await mirror.head_manifest(repository, reference);
    if (head) co_return head;
  }
  co_return first;
}

Task<Result<ManifestBody>> MirroredRegistry::get_manifest(std::string repository, Reference reference,
                                                          size_t origin) {
  OriginClient& asked = client(origin);
  co_return co_await asked.get_manifest(std::move(repository), std::move(reference));
}

Task<Result<BlobHead>> MirroredRegistry::head_blob(std::string repository, Digest digest) {
  OriginClient& url = client(0);
  Result<BlobHead> first = co_await url.head_blob(repository, digest);
  if (first || !is_no_answer(first.error())) co_return first;
  for (size_t i = 1; i < clients_.size(); ++i) {
    OriginClient& mirror = client(i);
    Result<BlobHead> head = co_await mirror.head_blob(repository, digest);
    if (head) co_return head;
  }
  co_return first;
}

Task<Result<std::unique_ptr<BlobBody>>> MirroredRegistry::get_blob(BlobRequest request) {
  OriginClient& asked = client(request.origin);
  co_return co_await asked.get_blob(std::move(request));
}

Task<Result<ListingPage>> MirroredRegistry::list(ListingRequest request) {
  OriginClient& url = client(0);
  Result<ListingPage> first = co_await url.list(request);
  if (first || !is_no_answer(first.error())) co_return first;
  for (size_t i = 1; i < clients_.size(); ++i) {
    OriginClient& mirror = client(i);
    Result<ListingPage> page = co_await mirror.list(request);
    if (page) co_return page;
  }
  co_return first;
}

}  // namespace entrepot::upstream
