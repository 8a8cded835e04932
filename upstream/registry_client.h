#pragma once

#include <memory>
#include <string>

#include "base/loop/event_loop.h"
#include "upstream/authorizer.h"
#include "upstream/origin.h"
#include "upstream/origin_client.h"
#include "upstream/registry.h"
#include "upstream/requester.h"

namespace entrepot::upstream {

/// One origin as a Registry has it: what to ask over a Transport, with which pass, and what the answers mean.
/// One per origin and loop; its functions are Registry's, for this origin alone.
class RegistryClient final : public OriginClient {
 public:
  RegistryClient(const Origin& origin, EventLoop& loop, Transport& transport, Tokens& tokens,
                 CredentialSource& credentials, Slots& large_answers);

  Task<Result<ManifestHead>> head_manifest(std::string repository, Reference reference) override;
  Task<Result<ManifestBody>> get_manifest(std::string repository, Reference reference) override;
  Task<Result<BlobHead>> head_blob(std::string repository, Digest digest) override;
  Task<Result<std::unique_ptr<BlobBody>>> get_blob(BlobRequest request) override;
  Task<Result<ListingPage>> list(ListingRequest request) override;

 private:
  Ask manifest_ask(Method method, const std::string& repository, const Reference& reference) const;
  Ask blob_ask(Method method, const std::string& repository, const Digest& digest) const;
  Ask listing_ask(const ListingRequest& request) const;
  std::string full_name(const std::string& repository) const;

  /// Sends it until the registry has what it wants to see, or says no for good (a 401 is `denied` then). Goes
  /// back to the registry once when a redirect's target refuses the URL that it signed.
  Task<Result<Answer>> ask(const Ask& ask);
  Task<Result<Answer>> ask_with_pass(const Ask& ask);
  /// As ask; a Range that is refused is taken out of `ask`, which is then sent again.
  Task<Result<Answer>> ask_from(Ask& ask);
  /// A 200, or the 206 that was asked for, whose body is what it seems to be.
  Task<Result<Answer>> content_of(const Ask& ask, Answer answer);
  Result<std::unique_ptr<BlobBody>> body_of(const Ask& ask, Answer answer) const;
  Status check_content(const Ask& ask, const ResponseHead& head) const;
  /// The whole body. One that may be large waits for its turn before it is read: `room`.
  Task<Result<std::string>> read_body(const Ask& ask, Answer& content, size_t limit, Slots::Slot& room);
  /// What another status than 200 means; may read the error's body.
  Task<Error> refusal(const Ask& ask, Answer& answer);
  Task<Result<ManifestHead>> head_by_get(std::string repository, Reference reference);
  Task<Result<BlobHead>> blob_head_by_get(std::string repository, Digest digest);
  Error error(const Ask& ask, Errc code, std::string_view cause) const;

  const Origin& origin_;
  EventLoop& loop_;
  Slots& large_answers_;
  Requester requester_;
  Authorizer authorizer_;
};

}  // namespace entrepot::upstream
