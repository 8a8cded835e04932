#include "proxy/admin/metrics_page.h"

#include <utility>

#include "proxy/admin/json_answer.h"

namespace entrepot::admin {
namespace {

constexpr Duration kGoodFor{1'000};
constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

MetricsPage::MetricsPage(EventLoop& loop, DiskPool& disk, const Metrics& metrics)
    : loop_(loop), disk_(disk), metrics_(metrics) {}

void MetricsPage::serve(std::shared_ptr<http::Exchange> exchange) {
  if (page_ && !is_rendering_ && loop_.clock().monotonic() - rendered_at_ < kGoodFor)
    return exchange->send_canned(page_);
  waiting_.push_back(std::move(exchange));
  if (!is_rendering_) render();
}

void MetricsPage::render() {
  is_rendering_ = true;
  disk_.submit("render metrics", [this, &loop = loop_, &metrics = metrics_] {
    loop.post([this, text = metrics.render()]() mutable { on_rendered(std::move(text)); });
  });
}

void MetricsPage::on_rendered(std::string text) {
  is_rendering_ = false;
  rendered_at_ = loop_.clock().monotonic();
  page_ = http::make_canned(guarded_head(200, kContentType), std::move(text));
  for (auto& exchange : std::exchange(waiting_, {})) exchange->send_canned(page_);
}

}  // namespace entrepot::admin
