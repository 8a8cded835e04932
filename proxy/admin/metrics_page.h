#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/disk/disk_pool.h"
#include "base/loop/event_loop.h"
#include "base/metrics.h"
#include "proxy/http/exchange.h"

namespace entrepot::admin {

/// All metrics in Prometheus' text format, rendered at most once a second, in the disk pool since it takes
/// locks and time. Who asks meanwhile gets the same text. Belongs to one loop; destroyed when its thread has
/// ended.
class MetricsPage {
 public:
  MetricsPage(EventLoop& loop, DiskPool& disk, const Metrics& metrics);
  void serve(std::shared_ptr<http::Exchange> exchange);

 private:
  void render();
  void on_rendered(std::string text);

  EventLoop& loop_;
  DiskPool& disk_;
  const Metrics& metrics_;
  std::shared_ptr<const http::CannedAnswer> page_;
  MonotonicTime rendered_at_;
  bool is_rendering_ = false;
  std::vector<std::shared_ptr<http::Exchange>> waiting_;  // at most the listener's connections
};

}  // namespace entrepot::admin
