#include "proxy/admin/json_answer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace entrepot::admin {
namespace {

std::string quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

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
                fmt::format(R"({{"errors":[{{"code":"{}","message":{}}}]}})", code, quoted(message)));
}

bool require_post(http::Exchange& exchange) {
  if (exchange.request().method != http::Method::post) {
    http::Head head = guarded_head(405, "application/json");
    head.add("Allow", "POST");
    exchange.send(std::move(head), R"({"errors":[{"code":"UNSUPPORTED","message":"only POST"}]})");
    return false;
  }
  if (exchange.request().header("content-encoding") == nullptr) return true;
  send_error(exchange, 415, "UNSUPPORTED", "no encoded bodies");
  return false;
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
