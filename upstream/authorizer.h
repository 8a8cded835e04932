#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "base/task/task.h"
#include "upstream/challenge.h"
#include "upstream/credentials.h"
#include "upstream/origin.h"
#include "upstream/response_head.h"
#include "upstream/tokens.h"

namespace entrepot::upstream {

/// What a request shows to the registry.
struct Pass {
  enum class Kind { none, own, bearer };  // own: our credential itself, not a token got with it
  Kind kind = Kind::none;
  Secret authorization;  // the header's value; empty for none
  uint64_t serial = 0;   // of the token, or of the one that was refused last; 0 = none
  bool is_fresh = false;
};

/// Decides what a request shows, and what to show after a refusal. Remembers whether the registry wants Basic
/// or Bearer, and nothing else; tokens have their home in TokenKeeper. One per origin and loop.
///
///     shown         response            next
///     none          401 + Bearer        a token for the scope, kept or new
///     none          401 + Basic         Basic, when there is a credential; else denied
///     old token     401, 403, 400       a new one (ECR says 403 and ECR Public 400 when one has ended)
///     fresh token   401                 denied: asking again would get the same
///     Basic         401                 upstream_refused_credential
///
/// A token of ECR is shown as our own credential, unasked; one that is a minute old counts as old. A HEAD's
/// 403 has no body that would tell an ended token from a missing right, so a forbidden repository may cost
/// one new token a minute.
///
/// Without a challenge an old token is followed by none, which gets one. Every row makes the pass fresher; a
/// request is sent at most kMaxTries times.
class Authorizer {
 public:
  static constexpr int kMaxTries = 6;

  Authorizer(const Origin& origin, Tokens& tokens, CredentialSource& credentials)
      : origin_(origin), tokens_(tokens), credentials_(credentials) {}

  /// For the first try.
  Task<Result<Pass>> first(std::string repository);
  /// Whether the registry's own response asks for another pass.
  static bool wants_another(const ResponseHead& head, const Pass& shown);
  /// The next pass, or why there is none. REQUIRES: wants_another(head, shown).
  Task<Result<Pass>> next(std::string repository, const ResponseHead& head, const Pass& shown);

 private:
  Task<Result<Pass>> own(uint64_t refused_serial);
  Task<Result<Pass>> bearer(TokenWish wish);
  static TokenWish wish_for(const std::string& repository, const Challenge& challenge, const Pass& shown);

  const Origin& origin_;
  Tokens& tokens_;
  CredentialSource& credentials_;
  Pass::Kind wanted_ = Pass::Kind::none;
};

}  // namespace entrepot::upstream
