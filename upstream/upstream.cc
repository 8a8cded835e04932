#include "upstream/upstream.h"

#include <utility>

#include "base/check.h"

#include "upstream/docker_config_credential.h"
#include "upstream/ecr_credential.h"

namespace entrepot::upstream {
namespace {

Result<std::unique_ptr<CredentialFetcher>> make_fetcher(const Settings& settings,
                                                        std::shared_ptr<const CaStore> ca,
                                                        const Upstream::Common& all) {
  if (settings.auth == Auth::ecr)
    return make_ecr_fetcher(settings, std::move(ca), all.clock, all.logger, all.is_stopped);
  return make_docker_config_fetcher(settings, all.logger, all.is_stopped);
}

}  // namespace

Result<std::unique_ptr<Upstream>> Upstream::make(Settings settings, const Common& all) {
  Origin::Common common{all.system_ca, UpstreamMetrics(all.metrics, settings.name), all.metrics, all.logger};
  if (!settings.ca_file.empty()) {
    Result<std::shared_ptr<const CaStore>> own = CaStore::load(settings.ca_file);
    if (!own) return fail(bad_key(settings, "ca_file", own.error().message));
    common.ca = std::move(*own);
  }
  auto upstream = std::make_unique<Upstream>();
  ENTREPOT_TRY_ASSIGN(std::unique_ptr<Origin> origin, Origin::make(settings, common));
  upstream->origins.push_back(std::move(origin));
  if (settings.access == Access::open) {
    ENTREPOT_TRY_ASSIGN(upstream->anonymous, Origin::make_anonymous(*upstream->origins.front(), common));
    upstream->proven = std::make_unique<PublicRepositories>();
  }
  for (const std::string& url : settings.mirrors) {
    ENTREPOT_TRY_ASSIGN(std::unique_ptr<Origin> mirror, Origin::make_mirror(settings, url, common));
    upstream->origins.push_back(std::move(mirror));
  }
  upstream->settings = std::move(settings);
  if (needs_errands(upstream->settings)) {
    CHECK(all.errands != nullptr);
    ENTREPOT_TRY_ASSIGN(std::unique_ptr<CredentialFetcher> fetcher,
                        make_fetcher(upstream->settings, common.ca, all));
    KeptCredential::Surroundings surroundings{all.clock, all.logger, *all.errands, all.is_stopped};
    upstream->kept = std::make_unique<KeptCredential>(std::move(fetcher), surroundings);
  }
  return upstream;
}

}  // namespace entrepot::upstream
