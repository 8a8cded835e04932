#include "upstream/ecr_credential.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "upstream/aws/authorization_token.h"
#include "upstream/aws/credential_chain.h"
#include "upstream/aws/ecr_host.h"
#include "upstream/aws/http_caller.h"
#include "upstream/origin.h"
#include "upstream/url.h"

namespace entrepot::upstream {
namespace {

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

class EcrFetcher final : public CredentialFetcher {
 public:
  EcrFetcher(const Settings& settings, aws::Endpoint api, std::unique_ptr<aws::HttpCaller> caller,
             const Clock& clock, Logger& logger, const std::atomic<bool>& is_stopped)
      : settings_(settings),
        api_(std::move(api)),
        clock_(clock),
        logger_(logger),
        caller_(std::move(caller)),
        chain_(chain_options(settings, api_), from_environment, *caller_, clock, is_stopped) {}

  const char* what() const override { return "ECR token"; }
  Result<FetchedCredential> fetch() override { return try_once(true); }

 private:
  Result<FetchedCredential> try_once(bool may_ask_again);

  const Settings& settings_;
  const aws::Endpoint api_;
  const Clock& clock_;
  Logger& logger_;
  const std::unique_ptr<aws::HttpCaller> caller_;
  aws::CredentialChain chain_;
};

Result<FetchedCredential> EcrFetcher::try_once(bool may_ask_again) {
  bool may_be_old = chain_.has_kept();
  Result<aws::AwsCredentials> credentials = chain_.get();
  if (!credentials)
    return fail(credentials.error().code, settings_.name + ": " + credentials.error().message);
  Result<aws::AuthorizationToken> granted =
      aws::get_authorization_token(*caller_, api_, *credentials, clock_);
  if (!granted) {
    bool is_refused = granted.error().code == Errc::upstream_refused_credential;
    if (is_refused) chain_.forget();
    if (is_refused && may_be_old && may_ask_again) return try_once(false);
    return fail(granted.error().code, settings_.name + ": " + granted.error().message);
  }
  logger_.info("{}: a new authorization token of {} in {}, by {}", settings_.name, api_.service, api_.region,
               credentials->source);
  Duration life = granted->lifetime;
  return FetchedCredential{std::move(granted->authorization), Secret(), std::min(kLongestFresh, life / 8),
                           life / 2, life};
}

}  // namespace

Result<std::unique_ptr<CredentialFetcher>> make_ecr_fetcher(const Settings& settings,
                                                            std::shared_ptr<const CaStore> ca,
                                                            const Clock& clock, Logger& logger,
                                                            const std::atomic<bool>& is_stopped) {
  ENTREPOT_TRY_ASSIGN(aws::Endpoint api, api_of(settings));
  if (std::optional<std::string> bundle = from_environment("AWS_CA_BUNDLE")) {
    Result<std::shared_ptr<const CaStore>> own = CaStore::load(*bundle);
    if (!own) return fail(bad_key(settings, "auth", "AWS_CA_BUNDLE: " + own.error().message));
    ca = std::move(*own);
  }
  std::unique_ptr<aws::HttpCaller> caller =
      aws::make_curl_caller({settings.proxy, std::move(ca), is_stopped});
  return std::make_unique<EcrFetcher>(settings, std::move(api), std::move(caller), clock, logger, is_stopped);
}

}  // namespace entrepot::upstream
