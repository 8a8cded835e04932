#include "upstream/public_client.h"

#include <utility>

namespace entrepot::upstream {

bool PublicClient::is_proven(const std::string& repository) const {
  return repositories_.is_proven(repository, loop_.clock().monotonic());
}

OriginClient& PublicClient::best() const {
  return repositories_.is_credential_refused(loop_.clock().monotonic()) ? anonymous_ : own_;
}

template <class T>
void PublicClient::note_anonymous(const std::string& repository, const Result<T>& answer) const {
  if (answer) repositories_.prove(repository, loop_.clock().monotonic());
}

template <class T>
bool PublicClient::is_refused(const Result<T>& answer) const {
  if (answer || answer.error().code != Errc::upstream_refused_credential) return false;
  if (repositories_.note_refused_credential(loop_.clock().monotonic()))
    origin_.logger.error("{}; going on without it for a minute", answer.error().message);
  return true;
}

Task<Result<ManifestHead>> PublicClient::head_manifest(std::string repository, Reference reference) {
  if (is_proven(repository)) {
    OriginClient& asked = best();
    Result<ManifestHead> head = co_await asked.head_manifest(repository, reference);
    if (&asked == &anonymous_ || !is_refused(head)) co_return head;
  }
  Result<ManifestHead> head = co_await anonymous_.head_manifest(repository, reference);
  note_anonymous(repository, head);
  co_return head;
}

Task<Result<ManifestBody>> PublicClient::get_manifest(std::string repository, Reference reference) {
  if (!is_proven(repository)) {
    Result<ManifestHead> proof = co_await anonymous_.head_manifest(repository, reference);
    note_anonymous(repository, proof);
    if (!proof) co_return fail(std::move(proof).error());
  }
  OriginClient& asked = best();
  Result<ManifestBody> body = co_await asked.get_manifest(repository, reference);
  if (&asked == &anonymous_ || !is_refused(body)) co_return body;
  co_return co_await anonymous_.get_manifest(std::move(repository), std::move(reference));
}

Task<Result<BlobHead>> PublicClient::head_blob(std::string repository, Digest digest) {
  if (is_proven(repository)) {
    OriginClient& asked = best();
    Result<BlobHead> head = co_await asked.head_blob(repository, digest);
    if (&asked == &anonymous_ || !is_refused(head)) co_return head;
  }
  Result<BlobHead> head = co_await anonymous_.head_blob(repository, digest);
  note_anonymous(repository, head);
  co_return head;
}

Task<Result<std::unique_ptr<BlobBody>>> PublicClient::get_blob(BlobRequest request) {
  if (!is_proven(request.repository)) {
    Result<BlobHead> proof = co_await anonymous_.head_blob(request.repository, request.digest);
    note_anonymous(request.repository, proof);
    if (!proof) co_return fail(std::move(proof).error());
  }
  OriginClient& asked = best();
  Result<std::unique_ptr<BlobBody>> body = co_await asked.get_blob(request);
  if (&asked == &anonymous_ || !is_refused(body)) co_return body;
  co_return co_await anonymous_.get_blob(std::move(request));
}

Task<Result<ListingPage>> PublicClient::list(ListingRequest request) {
  if (is_proven(request.repository)) {
    OriginClient& asked = best();
    Result<ListingPage> page = co_await asked.list(request);
    if (&asked == &anonymous_ || !is_refused(page)) co_return page;
  }
  Result<ListingPage> page = co_await anonymous_.list(request);
  note_anonymous(request.repository, page);
  co_return page;
}

}  // namespace entrepot::upstream
