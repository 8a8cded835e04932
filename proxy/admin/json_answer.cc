#include "proxy/admin/json_answer.h"

#include <fmt/format.h>

namespace entrepot::admin {

http::Head guarded_head(int status, std::string content_type) {
  http::Head head(status);
  head.add("Content-Type", std::move(content_type))
      .add("Cache-Control", "no-store")
      .add("X-Content-Type-Options", "nosniff")
      .add("X-Frame-Options", "DENY");
  return head;
}

void send_json(http::Exchange& exchange, int status, std::string body) {
  exchange.send(guarded_head(status, "application/json"), std::move(body));
}

void send_error(http::Exchange& exchange, int status, std::string_view code, std::string_view message) {
  http::Head head = guarded_head(status, "application/json");
  if (status == 405) head.add("Allow", "GET, HEAD");
  exchange.send(std::move(head),
                fmt::format(R"({{"errors":[{{"code":"{}","message":"{}"}}]}})", code, message));
}

bool require_read(http::Exchange& exchange) {
  http::Method method = exchange.request().method;
  if (method == http::Method::get || method == http::Method::head) return true;
  if (exchange.request().header("content-encoding") != nullptr) {
    send_error(exchange, 415, "UNSUPPORTED", "no encoded bodies");
    return false;
  }
  send_error(exchange, 405, "UNSUPPORTED", "only GET and HEAD");
  return false;
}

}  // namespace entrepot::admin
