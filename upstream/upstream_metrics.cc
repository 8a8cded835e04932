#include "upstream/upstream_metrics.h"

namespace entrepot::upstream {

UpstreamMetrics::UpstreamMetrics(Metrics& metrics, const std::string& upstream)
    : tokens_granted(metrics.counter("entrepot_upstream_token_fetches_total", "Requests to token services",
                                     {{"upstream", upstream}, {"result", "granted"}})),
      tokens_failed(metrics.counter("entrepot_upstream_token_fetches_total", "Requests to token services",
                                    {{"upstream", upstream}, {"result", "failed"}})),
      realms_rejected(
          metrics.counter("entrepot_upstream_realm_rejected_total",
                          "Token services that were not asked: not trusted with the credential, or http",
                          {{"upstream", upstream}})),
      redirects_refused(metrics.counter("entrepot_upstream_redirects_refused_total",
                                        "Redirects that were not followed", {{"upstream", upstream}})),
      connections_refused(metrics.counter("entrepot_upstream_connections_refused_total",
                                          "Connections to addresses that are private and not allowed",
                                          {{"upstream", upstream}})),
      overloads(metrics.counter("entrepot_upstream_overloads_total",
                                "Requests turned away because too many wait for a connection",
                                {{"upstream", upstream}})),
      breaker_openings(metrics.counter("entrepot_upstream_breaker_openings_total",
                                       "How often a host was left alone because it did not answer",
                                       {{"upstream", upstream}})),
      received_bytes(metrics.counter("entrepot_upstream_received_bytes_total",
                                     "Bytes of bodies that came from upstreams", {{"upstream", upstream}})) {
  for (const char* kind : {"manifest", "blob", "token", "listing"})
    for (const char* status : {"2xx", "3xx", "4xx", "5xx", "none"})
      requests_.push_back(metrics.counter("entrepot_upstream_requests_total", "Requests sent to upstreams",
                                          {{"upstream", upstream}, {"kind", kind}, {"status", status}}));
}

void UpstreamMetrics::count_request(RequestKind kind, int status) const {
  size_t index = status >= 200 && status < 600 ? static_cast<size_t>(status / 100 - 2) : kClasses - 1;
  requests_[static_cast<size_t>(kind) * kClasses + index].add();
}

}  // namespace entrepot::upstream
