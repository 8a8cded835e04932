#include "proxy/admin/admin_handler.h"

#include "proxy/admin/json_answer.h"

namespace entrepot::admin {
namespace {

constexpr char kPlainText[] = "text/plain; charset=utf-8";

}  // namespace

AdminHandler::AdminHandler(EventLoop& loop, DiskPool& disk, const Metrics& metrics, const Health& health,
                           Options options)
    : health_(health), guard_(std::move(options.own_hosts)), metrics_page_(loop, disk, metrics) {}

void AdminHandler::handle(std::shared_ptr<http::Exchange> exchange) {
  if (!guard_.admits(exchange->request()))
    return send_error(*exchange, 421, "DENIED", "not a name of this server");
  if (!require_read(*exchange)) return;
  std::string_view path = exchange->request().path;
  if (path == "/healthz") return exchange->send(guarded_head(200, kPlainText), "ok\n");
  if (path == "/readyz") {
    Health::State state = health_.state();
    int status = state == Health::State::ready ? 200 : 503;
    std::string text = std::string(name_of(state)) + "\n";
    std::string detail = exchange->request().target == "/readyz?verbose" ? health_.detail() : "";
    if (!detail.empty()) text += detail + "\n";
    return exchange->send(guarded_head(status, kPlainText), std::move(text));
  }
  if (path == "/metrics") return metrics_page_.serve(std::move(exchange));
  send_error(*exchange, 404, "NOT_FOUND", "there is no such page");
}

}  // namespace entrepot::admin
