#include "upstream/authorizer.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace entrepot::upstream {
namespace {

std::string scope_of(const std::string& repository) { return "repository:" + repository + ":pull"; }

const Challenge* find(const std::vector<Challenge>& challenges, std::string_view scheme) {
  auto found = std::ranges::find(challenges, scheme, &Challenge::scheme);
  return found == challenges.end() ? nullptr : &*found;
}

Pass bearer_with(const Token& token) {
  std::string value = "Bearer ";
  value += token.text.reveal();
  Pass pass{Pass::Kind::bearer, Secret(std::move(value)), token.serial, token.is_fresh};
  return pass;
}

}  // namespace

Task<Result<Pass>> Authorizer::first(std::string repository) {
  Auth auth = origin_.settings.auth;
  bool is_shown_unasked = auth == Auth::basic || auth == Auth::ecr || wanted_ == Pass::Kind::own;
  if (has_credential(origin_.settings) && is_shown_unasked) co_return co_await own(0);
  Pass pass;
  if (wanted_ == Pass::Kind::bearer) {
    std::string scope = scope_of(repository);
    std::optional<Token> token = co_await tokens_.known(std::move(scope));
    if (token) pass = bearer_with(*token);
    pass.is_fresh = false;
  }
  co_return pass;
}

bool Authorizer::wants_another(const ResponseHead& head, const Pass& shown) {
  bool is_old_token = shown.kind != Pass::Kind::none && !shown.is_fresh;
  return head.status == 401 || (is_old_token && (head.status == 403 || head.status == 400));
}

Task<Result<Pass>> Authorizer::next(std::string repository, const ResponseHead& head, const Pass& shown) {
  const std::string& name = origin_.name;
  std::vector<std::string_view> lines = head.all("www-authenticate");
  std::vector<Challenge> challenges = parse_challenges(lines);
  const Challenge* wants_bearer = find(challenges, "bearer");
  const Challenge* wants_basic = find(challenges, "basic");
  bool is_automatic = origin_.settings.auth == Auth::automatic || origin_.settings.auth == Auth::anonymous;

  if (shown.kind == Pass::Kind::own && !shown.is_fresh) {
    uint64_t refused = shown.serial;
    co_return co_await own(refused);
  }
  if (shown.kind == Pass::Kind::own && !(is_automatic && wants_bearer != nullptr))
    co_return fail(Errc::upstream_refused_credential, name + ": the registry refused the credential");
  if (shown.kind == Pass::Kind::bearer && shown.is_fresh)
    co_return fail(Errc::denied, name + ": " + repository + ": denied, with a token for it");
  if (is_automatic && wants_bearer != nullptr) {
    wanted_ = Pass::Kind::bearer;
    TokenWish wish = wish_for(repository, *wants_bearer, shown);
    co_return co_await bearer(std::move(wish));
  }
  if (shown.kind == Pass::Kind::bearer) {
    // It did not say where to get a new one: asked with nothing, it will.
    Pass none;
    none.serial = shown.serial;
    co_return none;
  }
  if (wants_basic != nullptr && has_credential(origin_.settings)) {
    wanted_ = Pass::Kind::own;
    co_return co_await own(0);
  }
  co_return fail(Errc::denied, name + ": " + repository + ": denied");
}

TokenWish Authorizer::wish_for(const std::string& repository, const Challenge& challenge, const Pass& shown) {
  TokenWish wish;
  wish.scope = scope_of(repository);
  wish.realm = challenge.parameter("realm");
  wish.service = challenge.parameter("service");
  wish.requested_scope = challenge.parameter("scope");
  wish.refused_serial = shown.serial;
  return wish;
}

Task<Result<Pass>> Authorizer::own(uint64_t refused_serial) {
  Result<Credential> ours = co_await credentials_.credential(refused_serial);
  if (!ours) co_return fail(std::move(ours).error());
  if (ours->authorization.is_empty())
    co_return fail(
        Errc::upstream_refused_credential,
        origin_.name + ": the registry takes user name and password, docker_config holds an identity token");
  Pass pass{Pass::Kind::own, std::move(ours->authorization), ours->serial, ours->is_fresh};
  co_return pass;
}

Task<Result<Pass>> Authorizer::bearer(TokenWish wish) {
  Result<Token> token = co_await tokens_.get(std::move(wish));
  if (!token) co_return fail(std::move(token).error());
  Pass pass = bearer_with(*token);
  co_return pass;
}

}  // namespace entrepot::upstream
