#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/health.h"
#include "proxy/admin/host_guard.h"
#include "proxy/admin/metrics_page.h"
#include "proxy/http/exchange.h"

namespace entrepot::admin {

/// The admin listener (TCP, read-only): GET and HEAD of
///
///     /healthz    200 while the process lives. Asks no disk and no upstream
///     /readyz     200, or 503 while opening and draining
///     /metrics    Prometheus' text format, at most a second old
///
/// Anything else is 404, another verb 405, a Host that is not ours 421. One per loop, made by main; loop's
/// thread only.
class AdminHandler final : public http::Handler {
 public:
  struct Options {
    std::vector<std::string> own_hosts;  // see HostGuard
  };
  AdminHandler(EventLoop& loop, DiskPool& disk, const Metrics& metrics, const Health& health,
               Options options);

  void handle(std::shared_ptr<http::Exchange> exchange) override;

 private:
  const Health& health_;
  const HostGuard guard_;
  MetricsPage metrics_page_;
};

}  // namespace entrepot::admin
