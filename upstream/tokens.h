#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/loop/event_loop.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/task/completion.h"
#include "base/task/task.h"
#include "upstream/credentials.h"
#include "upstream/origin.h"
#include "upstream/transport.h"

namespace entrepot::upstream {

/// A Bearer token, and which one it is.
struct Token {
  Secret text;
  uint64_t serial = 0;    // never 0; no two tokens of a scope have the same
  bool is_fresh = false;  // asked for after this wish was made: refused, it will be refused again
};

/// What a flow wants: a token for `scope`, from the service that the registry's challenge named.
struct TokenWish {
  std::string scope;  // what we want to do: the key, "repository:library/alpine:pull"
  std::string realm;  // the challenge's parameters, as they came
  std::string service;
  std::string requested_scope;  // the challenge's scope; "" = it has none, `scope` is asked for
  uint64_t refused_serial = 0;  // a token that the registry did not take: not that one again
};

/// One loop's share of an origin's tokens: the scopes whose home this loop is. Loop's thread only. At most
/// kMaxTokens; the one that ends first makes room. A wish whose token is being fetched shares that fetch. Our
/// credential, once it was refused for a scope, is not shown for it again for kRefusalHolds, unless it has
/// changed: services lock accounts out that try a wrong password again and again.
class TokenKeeper {
 public:
  static constexpr size_t kMaxTokens = 4096;
  static constexpr Duration kRefusalHolds{30'000};

  TokenKeeper(const Origin& origin, EventLoop& loop, Transport& transport, CredentialSource& credentials)
      : origin_(origin), loop_(loop), transport_(transport), credentials_(credentials) {}

  /// The kept token, when there is one that still holds.
  Task<std::optional<Token>> known(std::string scope);
  /// A kept token other than the refused one, or a new one. Errors: policy_refused (the realm), denied (the
  /// service refused an anonymous wish), upstream_refused_credential, and those of the transport.
  Task<Result<Token>> get(TokenWish wish);
  size_t size() const { return kept_.size(); }

 private:
  struct Kept {
    Secret text;
    uint64_t serial = 0;
    MonotonicTime end;
  };
  struct Refusal {
    Credential shown;
    Error error;
    MonotonicTime end;
  };
  using Waiter = Completion<Result<Token>>;

  const Kept* find(const std::string& scope);
  Task<Result<Token>> fetch(const TokenWish& wish);
  /// With a credential other than the one with that serial; `shown` is what it was.
  Task<Result<Token>> fetch_with(const TokenWish& wish, uint64_t refused_serial, Credential& shown);
  Result<Url> realm_of(const TokenWish& wish) const;
  void keep(const std::string& scope, const Token& token, Duration lifetime);
  Error refusal(const ResponseHead& head, const Url& realm, bool is_of_identity_token) const;
  const Refusal* find_refusal(const std::string& scope, const Credential& shown);

  const Origin& origin_;
  EventLoop& loop_;
  Transport& transport_;
  CredentialSource& credentials_;
  std::map<std::string, Kept> kept_;
  std::map<std::string, Refusal> refused_;  // at most kMaxTokens
  std::map<std::string, std::vector<Waiter*>> fetching_;
  uint64_t next_serial_ = 1;
};

/// An origin's tokens as a flow on one loop sees them: asks the home of the scope. One per origin and loop.
class Tokens {
 public:
  struct Home {
    EventLoop* loop;
    TokenKeeper* keeper;
  };
  explicit Tokens(EventLoop& loop) : loop_(loop) {}
  /// Once, before the loops run; `homes` is alike on all of them.
  void connect(std::vector<Home> homes) { homes_ = std::move(homes); }

  // As TokenKeeper's.
  Task<std::optional<Token>> known(std::string scope);
  Task<Result<Token>> get(TokenWish wish);

 private:
  const Home& home_of(const std::string& scope) const {
    CHECK(!homes_.empty());
    return homes_[std::hash<std::string>{}(scope) % homes_.size()];
  }

  EventLoop& loop_;
  std::vector<Home> homes_;
};

}  // namespace entrepot::upstream
