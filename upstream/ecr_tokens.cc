#include "upstream/ecr_tokens.h"

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <utility>

#include "upstream/aws/authorization_token.h"
#include "upstream/origin.h"
#include "upstream/url.h"

namespace entrepot::upstream {
namespace {

constexpr Duration kFailureIsKept{5'000};
constexpr Duration kFailureIsKeptWhileGood{60'000};
constexpr int kTries = 3;
constexpr Duration kBetweenTries{300};
constexpr Duration kLongestFresh{60'000};

std::optional<std::string> from_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

Result<aws::Endpoint> api_of(const Settings& settings) {
  Result<Url> url = Url::parse(settings.url);
  std::optional<aws::EcrHost> host = url ? aws::EcrHost::parse(url->host()) : std::nullopt;
  // Behind another host name the operator says where the API is, and in which region.
  aws::Endpoint api{"", settings.ecr_region, settings.name == "public.ecr.aws" ? "ecr-public" : "ecr"};
  if (host) {
    if (!settings.ecr_region.empty()) host->region = settings.ecr_region;
    api = aws::ecr_api(*host);
  } else if (url && aws::is_ecr_public(url->host())) {
    api = aws::ecr_public_api();
  }
  if (!settings.ecr_endpoint.empty()) api.url = settings.ecr_endpoint;
  if (api.region.empty())
    return fail(bad_key(settings, "ecr_region", "missing: the url's host name does not tell the region"));
  if (api.url.empty())
    return fail(bad_key(settings, "ecr_endpoint", "missing: the url's host name is none of Amazon ECR's"));
  return api;
}

aws::CredentialChain::Options chain_options(const Settings& settings, const aws::Endpoint& api) {
  std::optional<std::string> region = from_environment("AWS_REGION");
  if (!region) region = from_environment("AWS_DEFAULT_REGION");
  return {settings.aws_profile, region.value_or(api.region)};
}

}  // namespace

Result<std::unique_ptr<EcrTokens>> EcrTokens::make(const Settings& settings,
                                                   std::shared_ptr<const CaStore> ca,
                                                   const Surroundings& surroundings) {
  ENTREPOT_TRY_ASSIGN(aws::Endpoint api, api_of(settings));
  if (std::optional<std::string> bundle = from_environment("AWS_CA_BUNDLE")) {
    Result<std::shared_ptr<const CaStore>> own = CaStore::load(*bundle);
    if (!own) return fail(bad_key(settings, "auth", "AWS_CA_BUNDLE: " + own.error().message));
    ca = std::move(*own);
  }
  std::unique_ptr<aws::HttpCaller> caller =
      aws::make_curl_caller({settings.proxy, std::move(ca), surroundings.is_stopped});
  return std::unique_ptr<EcrTokens>(new EcrTokens(settings, std::move(api), std::move(caller), surroundings));
}

EcrTokens::EcrTokens(const Settings& settings, aws::Endpoint api, std::unique_ptr<aws::HttpCaller> caller,
                     const Surroundings& surroundings)
    : settings_(settings),
      api_(std::move(api)),
      surroundings_(surroundings),
      caller_(std::move(caller)),
      chain_(chain_options(settings, api_), from_environment, *caller_, surroundings.clock,
             surroundings.is_stopped) {}

std::optional<Result<EcrTokens::Token>> EcrTokens::known(uint64_t known_serial, bool is_urgent) const {
  MonotonicTime now = surroundings_.clock.monotonic();
  if (token_ && token_->serial != known_serial && now < token_->end) return *token_;
  Duration kept = is_urgent ? kFailureIsKept : kFailureIsKeptWhileGood;
  if (failure_ && now < failed_at_ + kept) return fail(*failure_);
  return std::nullopt;
}

void EcrTokens::renew(uint64_t known_serial, bool is_urgent, Done done) {
  std::optional<Result<Token>> answer;
  {
    std::lock_guard lock(mutex_);
    answer = known(known_serial, is_urgent);
    if (!answer) {
      waiters_.push_back(std::move(done));
      if (!std::exchange(is_fetching_, true)) surroundings_.errands.submit("ECR token", [this] { run(); });
    }
  }
  if (answer) done(std::move(*answer));
}

void EcrTokens::run() {
  Result<Token> token = fetch();
  std::vector<Done> waiters;
  {
    std::lock_guard lock(mutex_);
    is_fetching_ = false;
    waiters = std::exchange(waiters_, {});
    failure_.reset();
    if (token)
      token_ = *token;
    else
      failure_ = token.error();
    failed_at_ = surroundings_.clock.monotonic();
  }
  if (!token) surroundings_.logger.error("{}", token.error().message);
  for (Done& waiter : waiters) waiter(token);
}

// What takes no time and may be well in a moment is asked for again; a time-out has taken long enough.
Result<EcrTokens::Token> EcrTokens::fetch() {
  for (int tries = 1;; ++tries) {
    Result<Token> token = try_once(true);
    if (token || tries == kTries) return token;
    Errc code = token.error().code;
    bool may_pass = code == Errc::upstream_failed || code == Errc::upstream_rate_limited ||
                    code == Errc::upstream_unreachable;
    if (!may_pass || !wait_a_little(kBetweenTries * tries)) return token;
  }
}

Result<EcrTokens::Token> EcrTokens::try_once(bool may_ask_again) {
  bool may_be_old = chain_.has_kept();
  Result<aws::AwsCredentials> credentials = chain_.get();
  if (!credentials)
    return fail(credentials.error().code, settings_.name + ": " + credentials.error().message);
  Result<aws::AuthorizationToken> granted =
      aws::get_authorization_token(*caller_, api_, *credentials, surroundings_.clock);
  if (!granted) {
    bool is_refused = granted.error().code == Errc::upstream_refused_credential;
    if (is_refused) chain_.forget();
    if (is_refused && may_be_old && may_ask_again) return try_once(false);
    return fail(granted.error().code, settings_.name + ": " + granted.error().message);
  }
  surroundings_.logger.info("{}: a new authorization token of {} in {}, by {}", settings_.name, api_.service,
                            api_.region, credentials->source);
  MonotonicTime now = surroundings_.clock.monotonic();
  Duration life = granted->lifetime;
  return Token{std::move(granted->authorization), ++last_serial_, now + std::min(kLongestFresh, life / 8),
               now + life / 2, now + life};
}

// False: everything ends.
bool EcrTokens::wait_a_little(Duration duration) const {
  constexpr Duration kLook{50};
  for (; duration > Duration::zero(); duration -= kLook) {
    if (surroundings_.is_stopped) return false;
    std::this_thread::sleep_for(std::min(kLook, duration));
  }
  return true;
}

Task<Result<Credential>> EcrCredential::credential(uint64_t refused_serial) {
  MonotonicTime now = loop_.clock().monotonic();
  bool is_good = token_ && token_->serial != refused_serial && now < token_->end;
  if (is_good && now >= token_->renew_at && now >= next_try_) {
    next_try_ = now + kFailureIsKeptWhileGood;
    loop_.spawn(renew_soon(*this));
  }
  if (!is_good) {
    uint64_t known = token_ ? token_->serial : refused_serial;
    Result<EcrTokens::Token> renewed = co_await renew(known, true);
    if (!renewed) co_return fail(std::move(renewed).error());
  }
  co_return shown();
}

Credential EcrCredential::shown() const {
  return {token_->authorization, token_->serial, loop_.clock().monotonic() < token_->fresh_until};
}

Task<void> EcrCredential::renew_soon(EcrCredential& self) {
  uint64_t known = self.token_->serial;
  co_await self.renew(known, false);
}

Task<Result<EcrTokens::Token>> EcrCredential::renew(uint64_t known_serial, bool is_urgent) {
  auto start = [this, known_serial, is_urgent] { return ask(tokens_, loop_, known_serial, is_urgent); };
  std::string key = is_urgent ? "urgent" : "soon";
  Result<EcrTokens::Token> token = co_await renewals_.ask(std::move(key), std::move(start));
  if (token) token_ = *token;
  co_return token;
}

// A leaf: back on the loop when the answer is there.
Task<Result<EcrTokens::Token>> EcrCredential::ask(EcrTokens& tokens, EventLoop& loop, uint64_t known_serial,
                                                  bool is_urgent) {
  Completion<Result<EcrTokens::Token>> done;
  tokens.renew(known_serial, is_urgent, [&done, &loop](Result<EcrTokens::Token> token) {
    loop.post([&done, token = std::move(token)]() mutable { done.complete(std::move(token)); });
  });
  co_return co_await done;
}

}  // namespace entrepot::upstream
