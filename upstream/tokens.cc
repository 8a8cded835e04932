#include "upstream/tokens.h"

#include <algorithm>
#include <utility>

#include "base/loop/call_on.h"
#include "upstream/body.h"
#include "upstream/host_guard.h"
#include "upstream/token_request.h"
#include "upstream/token_response.h"

namespace entrepot::upstream {
namespace {

constexpr size_t kMaxTokenAnswer = 1024 * 1024;
constexpr size_t kMaxParameter = 4 * 1024;

}  // namespace

const TokenKeeper::Kept* TokenKeeper::find(const std::string& scope) {
  auto found = kept_.find(scope);
  if (found == kept_.end()) return nullptr;
  if (found->second.end > loop_.clock().monotonic()) return &found->second;
  kept_.erase(found);
  return nullptr;
}

Task<std::optional<Token>> TokenKeeper::known(std::string scope) {
  const Kept* kept = find(scope);
  if (kept == nullptr) co_return std::nullopt;
  Token token{kept->text, kept->serial, false};
  co_return token;
}

Task<Result<Token>> TokenKeeper::get(TokenWish wish) {
  if (const Kept* kept = find(wish.scope)) {
    Token token{kept->text, kept->serial, false};
    if (token.serial != wish.refused_serial) co_return token;
    kept_.erase(wish.scope);
  }
  auto fetching = fetching_.find(wish.scope);
  if (fetching != fetching_.end()) {
    Waiter waiter;
    fetching->second.push_back(&waiter);
    co_return co_await waiter;
  }
  fetching_.emplace(wish.scope, std::vector<Waiter*>());
  Result<Token> token = co_await fetch(wish);
  std::vector<Waiter*> waiters = std::move(fetching_.extract(wish.scope).mapped());
  for (Waiter* waiter : waiters) waiter->complete(token);
  (token ? origin_.metrics.tokens_granted : origin_.metrics.tokens_failed).add();
  co_return token;
}

Result<Url> TokenKeeper::realm_of(const TokenWish& wish) const {
  const std::string& name = origin_.name;
  if (wish.realm.size() + wish.service.size() + wish.requested_scope.size() > kMaxParameter)
    return entrepot::fail(Errc::policy_refused, name + ": a challenge that is too long");
  Result<Url> realm = Url::parse(wish.realm);
  if (!realm)
    return entrepot::fail(Errc::policy_refused, name + ": the challenge's realm: " + realm.error().message);
  RealmTrust trust = judge_realm(origin_.base, *realm, origin_.trusted_realms);
  if (trust == RealmTrust::refused)
    return entrepot::fail(Errc::policy_refused, name + ": the realm " + realm->authority() + " is not https");
  if (trust == RealmTrust::anonymous && has_credential(origin_.settings))
    return entrepot::fail(Errc::policy_refused,
                          name + ": the realm " + realm->authority() + " is not trusted with the credential");
  return realm;
}

Task<Result<Token>> TokenKeeper::fetch(const TokenWish& wish) {
  Credential shown;
  Result<Token> token = co_await fetch_with(wish, 0, shown);
  bool is_refused = !token && token.error().code == Errc::upstream_refused_credential;
  if (!is_refused || shown.serial == 0 || shown.is_fresh) co_return token;
  uint64_t refused = shown.serial;  // it may have been replaced where it comes from
  co_return co_await fetch_with(wish, refused, shown);
}

Task<Result<Token>> TokenKeeper::fetch_with(const TokenWish& wish, uint64_t refused_serial,
                                            Credential& shown) {
  Result<Url> realm = realm_of(wish);
  if (!realm) {
    origin_.metrics.realms_rejected.add();
    co_return entrepot::fail(realm.error());
  }
  if (has_credential(origin_.settings)) {
    Result<Credential> ours = co_await credentials_.credential(refused_serial);
    if (!ours) co_return entrepot::fail(ours.error());
    shown = std::move(*ours);
    if (const Refusal* known = find_refusal(wish.scope, shown)) co_return entrepot::fail(known->error);
  }
  const std::string prefix = origin_.name + ": token service " + realm->authority() + ": ";
  std::string_view scopes = wish.requested_scope.empty() ? wish.scope : wish.requested_scope;
  Result<TransportRequest> request = token_request(*realm, wish.service, scopes, shown);
  if (!request) co_return entrepot::fail(request.error().code, prefix + request.error().message);

  HostGuard guard(origin_, origin_.token_breaker.get(), loop_, request->url);
  Status may_go = guard.ask();
  if (!may_go) {
    const Error& pause = may_go.error();
    co_return entrepot::fail(Error{pause.code, prefix + pause.message, pause.retry_after_seconds});
  }
  origin_.logger.debug("upstream {}: {} {}", origin_.name, request->method == Method::post ? "POST" : "GET",
                       request->url.text_without_query());
  std::unique_ptr<Transfer> transfer = transport_.start(std::move(*request));
  Result<ResponseHead> head = co_await transfer->head();
  guard.note(head);
  origin_.metrics.count_request(RequestKind::token, head ? head->status : 0);
  if (!head) co_return entrepot::fail(head.error().code, prefix + head.error().message);
  if (head->status != 200) {
    Error error = refusal(*head, *realm, !shown.identity_token.is_empty());
    if (error.code == Errc::upstream_refused_credential && refused_.size() < kMaxTokens)
      refused_[wish.scope] = Refusal{shown, error, loop_.clock().monotonic() + kRefusalHolds};
    co_return entrepot::fail(std::move(error));
  }
  Transfer& body = *transfer;
  Result<std::string> text = co_await read_whole(body, kMaxTokenAnswer);
  if (!text) co_return entrepot::fail(text.error().code, prefix + text.error().message);
  Result<TokenGrant> grant = parse_token_response(*text, loop_.clock().wall());
  if (!grant) co_return entrepot::fail(grant.error().code, prefix + grant.error().message);
  Token token{std::move(grant->token), next_serial_++, true};
  keep(wish.scope, token, grant->lifetime);
  co_return token;
}

Error TokenKeeper::refusal(const ResponseHead& head, const Url& realm, bool is_of_identity_token) const {
  Error error{Errc::upstream_failed, origin_.name + ": token service " + realm.authority() +
                                         " answered with status " + std::to_string(head.status)};
  if (head.status == 429) {
    error.code = Errc::upstream_rate_limited;
    error.retry_after_seconds = retry_after_seconds(head, loop_.clock().wall());
  } else if (head.status == 401 || head.status == 403 || (is_of_identity_token && head.status == 400)) {
    // 400 is OAuth2's word for a refresh token that has ended (RFC 6749 section 5.2).
    error.code = has_credential(origin_.settings) ? Errc::upstream_refused_credential : Errc::denied;
  }
  return error;
}

// Beside finding it, forgets what has ended.
const TokenKeeper::Refusal* TokenKeeper::find_refusal(const std::string& scope, const Credential& shown) {
  MonotonicTime now = loop_.clock().monotonic();
  std::erase_if(refused_, [now](const auto& entry) { return entry.second.end <= now; });
  auto found = refused_.find(scope);
  bool is_the_same = found != refused_.end() &&
                     found->second.shown.authorization.reveal() == shown.authorization.reveal() &&
                     found->second.shown.identity_token.reveal() == shown.identity_token.reveal();
  return is_the_same ? &found->second : nullptr;
}

void TokenKeeper::keep(const std::string& scope, const Token& token, Duration lifetime) {
  MonotonicTime now = loop_.clock().monotonic();
  if (kept_.size() >= kMaxTokens) {
    std::erase_if(kept_, [&](const auto& entry) { return entry.second.end <= now; });
    if (kept_.size() >= kMaxTokens)
      kept_.erase(std::ranges::min_element(kept_, {}, [](const auto& entry) { return entry.second.end; }));
  }
  kept_[scope] = Kept{token.text, token.serial, now + lifetime};
}

Task<std::optional<Token>> Tokens::known(std::string scope) {
  const Home& home = home_of(scope);
  auto start = [keeper = home.keeper, scope = std::move(scope)]() mutable {
    return keeper->known(std::move(scope));
  };
  co_return co_await call_on<std::optional<Token>>(*home.loop, loop_, std::move(start));
}

Task<Result<Token>> Tokens::get(TokenWish wish) {
  const Home& home = home_of(wish.scope);
  auto start = [keeper = home.keeper, wish = std::move(wish)]() mutable {
    return keeper->get(std::move(wish));
  };
  co_return co_await call_on<Result<Token>>(*home.loop, loop_, std::move(start));
}

}  // namespace entrepot::upstream
