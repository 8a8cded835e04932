#include "upstream/upstream.h"

#include <utility>

#include "base/check.h"

namespace entrepot::upstream {

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
  if (is_at_ecr(upstream->settings)) {
    CHECK(all.errands != nullptr);
    EcrTokens::Surroundings surroundings{all.clock, all.logger, *all.errands, all.is_stopped};
    ENTREPOT_TRY_ASSIGN(upstream->ecr, EcrTokens::make(upstream->settings, common.ca, surroundings));
  }
  return upstream;
}

}  // namespace entrepot::upstream
