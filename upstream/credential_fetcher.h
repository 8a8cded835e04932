#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

namespace entrepot::upstream {

/// What a CredentialFetcher gave, and for how long.
struct FetchedCredential {
  Secret authorization = {};   // an Authorization header's value
  Secret identity_token = {};  // or this (Credential)
  Duration fresh_for{};        // refused within it, another would be refused too
  Duration renew_after{};      // in the background
  Duration life{};             // then it is of no use
};

/// Where a KeptCredential comes from, when that takes its time: a service, a program. A seam. On the errand's
/// thread alone, one call at a time.
class CredentialFetcher {
 public:
  virtual ~CredentialFetcher() = default;
  /// "ECR token": for the errand.
  virtual const char* what() const = 0;
  /// BLOCKING. Errors name the source and what to do: upstream_refused_credential, and what a call may come
  /// to.
  virtual Result<FetchedCredential> fetch() = 0;
};

}  // namespace entrepot::upstream
