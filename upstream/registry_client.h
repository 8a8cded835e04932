#pragma once

#include <memory>
#include <string>

#include "base/loop/event_loop.h"
#include "upstream/authorizer.h"
#include "upstream/registry.h"
#include "upstream/requester.h"
#include "upstream/upstream.h"

namespace entrepot::upstream {

/// The Registry over a Transport: what to ask, with which pass, and what the answers mean. One per upstream
/// and loop.
class RegistryClient final : public Registry {
 public:
  RegistryClient(const Upstream& upstream, EventLoop& loop, Transport& transport, Tokens& tokens,
                 CredentialSource& credentials);

  const Settings& settings() const override { return upstream_.settings; }
  Task<Result<ManifestHead>> head_manifest(std::string repository, Reference reference) override;
  Task<Result<ManifestBody>> get_manifest(std::string repository, Reference reference) override;
  Task<Result<BlobHead>> head_blob(std::string repository, Digest digest) override;
  Task<Result<std::unique_ptr<BlobBody>>> get_blob(std::string repository, Digest digest) override;

 private:
  Ask manifest_ask(Method method, const std::string& repository, const Reference& reference) const;
  Ask blob_ask(Method method, const std::string& repository, const Digest& digest) const;
  std::string full_name(const std::string& repository) const;

  /// Sends it until the registry has what it wants to see, or says no for good (a 401 is `denied` then).
  Task<Result<Answer>> ask(const Ask& ask);
  /// A 200 whose body is what it seems to be.
  Task<Result<Answer>> ask_for_content(const Ask& ask);
  Task<Result<Answer>> content_of(const Ask& ask, Answer answer);
  Status check_content(const Ask& ask, const ResponseHead& head) const;
  /// What another status than 200 means; may read the error's body.
  Task<Error> refusal(const Ask& ask, Answer& answer);
  Task<Result<ManifestHead>> head_by_get(std::string repository, Reference reference);
  Task<Result<BlobHead>> blob_head_by_get(std::string repository, Digest digest);
  Error error(const Ask& ask, Errc code, std::string_view cause) const;

  const Upstream& upstream_;
  EventLoop& loop_;
  Requester requester_;
  Authorizer authorizer_;
};

}  // namespace entrepot::upstream
