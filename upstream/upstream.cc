#include "upstream/upstream.h"

#include <utility>

namespace entrepot::upstream {

Result<std::unique_ptr<Upstream>> Upstream::make(Settings settings, std::shared_ptr<const CaStore> system_ca,
                                                 Logger& logger, Metrics& metrics) {
  Origin::Common common{std::move(system_ca), UpstreamMetrics(metrics, settings.name), logger};
  if (!settings.ca_file.empty()) {
    Result<std::shared_ptr<const CaStore>> own = CaStore::load(settings.ca_file);
    if (!own) return fail(bad_key(settings, "ca_file", own.error().message));
    common.ca = std::move(*own);
  }
  auto upstream = std::make_unique<Upstream>();
  ENTREPOT_TRY_ASSIGN(std::unique_ptr<Origin> origin, Origin::make(settings, common));
  upstream->origins.push_back(std::move(origin));
  for (const std::string& url : settings.mirrors) {
    ENTREPOT_TRY_ASSIGN(std::unique_ptr<Origin> mirror, Origin::make_mirror(settings, url, common));
    upstream->origins.push_back(std::move(mirror));
  }
  upstream->settings = std::move(settings);
  return upstream;
}

}  // namespace entrepot::upstream
