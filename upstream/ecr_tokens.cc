#include "upstream/ecr_tokens.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/disk/run_on_disk.h"
#include "upstream/aws/authorization_token.h"
#include "upstream/origin.h"
#include "upstream/url.h"

namespace entrepot::upstream {
namespace {

constexpr Duration kFailureIsKept{5'000};
constexpr Duration kBetweenTries{60'000};  // while the token at hand is good
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
                                                   std::shared_ptr<const CaStore> ca, const Clock& clock,
                                                   Logger& logger, const std::atomic<bool>& is_stopped) {
  ENTREPOT_TRY_ASSIGN(aws::Endpoint api, api_of(settings));
  std::optional<std::string> bundle = from_environment("AWS_CA_BUNDLE");
  if (bundle && settings.ca_file.empty()) {
    Result<std::shared_ptr<const CaStore>> own = CaStore::load(*bundle);
    if (!own) return fail(bad_key(settings, "auth", "AWS_CA_BUNDLE: " + own.error().message));
    ca = std::move(*own);
  }
  std::unique_ptr<aws::HttpCaller> caller =
      aws::make_curl_caller({settings.proxy, std::move(ca), is_stopped});
  return std::unique_ptr<EcrTokens>(
      new EcrTokens(settings, std::move(api), std::move(caller), clock, logger, is_stopped));
}

EcrTokens::EcrTokens(const Settings& settings, aws::Endpoint api, std::unique_ptr<aws::HttpCaller> caller,
                     const Clock& clock, Logger& logger, const std::atomic<bool>& is_stopped)
    : settings_(settings),
      api_(std::move(api)),
      clock_(clock),
      logger_(logger),
      caller_(std::move(caller)),
      chain_(chain_options(settings, api_), from_environment, *caller_, clock, is_stopped) {}

Result<EcrTokens::Token> EcrTokens::renew(uint64_t known_serial) {
  std::lock_guard lock(mutex_);
  MonotonicTime now = clock_.monotonic();
  if (token_ && token_->serial != known_serial && now < token_->end) return *token_;
  if (failure_ && now < failed_until_) return fail(*failure_);
  Result<Token> token = fetch();
  if (token) {
    failure_.reset();
    token_ = *token;
    return token;
  }
  failure_ = token.error();
  failed_until_ = clock_.monotonic() + kFailureIsKept;
  logger_.error("{}", token.error().message);
  return token;
}

Result<EcrTokens::Token> EcrTokens::fetch() {
  Result<aws::AwsCredentials> credentials = chain_.get();
  if (!credentials)
    return fail(credentials.error().code, settings_.name + ": " + credentials.error().message);
  Result<aws::AuthorizationToken> granted =
      aws::get_authorization_token(*caller_, api_, *credentials, clock_);
  if (!granted) {
    if (granted.error().code == Errc::upstream_refused_credential) chain_.forget();
    return fail(granted.error().code, settings_.name + ": " + granted.error().message);
  }
  logger_.info("{}: a new authorization token of {} in {}, by {}", settings_.name, api_.service, api_.region,
               credentials->source);
  MonotonicTime now = clock_.monotonic();
  Duration life = granted->lifetime;
  return Token{std::move(granted->authorization), ++last_serial_, now + std::min(kLongestFresh, life / 8),
               now + life / 2, now + life};
}

Task<Result<Credential>> EcrCredential::credential(uint64_t refused_serial) {
  MonotonicTime now = loop_.clock().monotonic();
  bool is_good = token_ && token_->serial != refused_serial && now < token_->end;
  if (is_good && now >= token_->renew_at && now >= next_try_) {
    next_try_ = now + kBetweenTries;
    loop_.spawn(renew_soon(*this));
  }
  if (!is_good) {
    uint64_t known = token_ ? token_->serial : refused_serial;
    Result<EcrTokens::Token> renewed = co_await renew(known);
    if (!renewed) co_return fail(std::move(renewed).error());
  }
  co_return shown();
}

Credential EcrCredential::shown() const {
  return {token_->authorization, token_->serial, loop_.clock().monotonic() < token_->fresh_until};
}

Task<void> EcrCredential::renew_soon(EcrCredential& self) {
  uint64_t known = self.token_->serial;
  co_await self.renew(known);
}

Task<Result<EcrTokens::Token>> EcrCredential::renew(uint64_t known_serial) {
  auto start = [this, known_serial] {
    auto work = [&tokens = tokens_, known_serial] { return tokens.renew(known_serial); };
    return run_on_disk(errands_, loop_, "ECR token", std::move(work));
  };
  std::string key = "token";
  Result<EcrTokens::Token> token = co_await renewals_.ask(std::move(key), std::move(start));
  if (token) token_ = *token;
  co_return token;
}

}  // namespace entrepot::upstream
