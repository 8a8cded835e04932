#include "upstream/public_client.h"

#include <utility>

namespace entrepot::upstream {

bool PublicClient::is_proven(const std::string& repository) const {
  return repositories_.is_proven(repository, loop_.clock().monotonic());
}

template <class T>
void PublicClient::note_anonymous(const std::string& repository, const Result<T>& answer) const {
  if (answer) repositories_.prove(repository, loop_.clock().monotonic());
}

template <class T>
Task<Result<T>> PublicClient::ask_with_credential(Question<T> question) {
  OriginClient& own = own_;
  OriginClient& anonymous = anonymous_;
  if (repositories_.is_credential_refused(loop_.clock().monotonic())) co_return co_await question(anonymous);
  Result<T> answer = co_await question(own);
  if (answer || answer.error().code != Errc::upstream_refused_credential) co_return answer;
  if (repositories_.note_refused_credential(loop_.clock().monotonic()))
    origin_.logger.error("{}; going on without it for a minute", answer.error().message);
  co_return co_await question(anonymous);
}

Task<Result<ManifestHead>> PublicClient::head_manifest(std::string repository, Reference reference) {
  if (is_proven(repository)) {
    Question<ManifestHead> question = [repository, reference](OriginClient& asked) {
      return asked.head_manifest(repository, reference);
    };
    co_return co_await ask_with_credential<ManifestHead>(std::move(question));
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
  Question<ManifestBody> question = [repository, reference](OriginClient& asked) {
    return asked.get_manifest(repository, reference);
  };
  co_return co_await ask_with_credential<ManifestBody>(std::move(question));
}

Task<Result<BlobHead>> PublicClient::head_blob(std::string repository, Digest digest) {
  if (is_proven(repository)) {
    Question<BlobHead> question = [repository, digest](OriginClient& asked) {
      return asked.head_blob(repository, digest);
    };
    co_return co_await ask_with_credential<BlobHead>(std::move(question));
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
  using Body = std::unique_ptr<BlobBody>;
  Question<Body> question = [request](OriginClient& asked) { return asked.get_blob(request); };
  co_return co_await ask_with_credential<Body>(std::move(question));
}

Task<Result<ListingPage>> PublicClient::list(ListingRequest request) {
  if (!is_proven(request.repository)) co_return co_await anonymous_.list(std::move(request));
  Question<ListingPage> question = [request](OriginClient& asked) { return asked.list(request); };
  co_return co_await ask_with_credential<ListingPage>(std::move(question));
}

}  // namespace entrepot::upstream
