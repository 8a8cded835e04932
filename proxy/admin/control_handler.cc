#include "proxy/admin/control_handler.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "proxy/admin/json_answer.h"

namespace entrepot::admin {
namespace {

constexpr std::string_view kVerbs = "/api/v1/verbs/";
constexpr std::string_view kObjects = "/api/v1/objects/";

}  // namespace

std::string_view name_of(ObjectState state) {
  switch (state) {
    case ObjectState::absent:
      return "absent";
    case ObjectState::filling:
      return "filling";
    case ObjectState::committed:
      return "committed";
  }
  return "";
}

ControlHandler::ControlHandler(const Health& health, ObjectStateQuery query, CallVerb call_verb)
    : health_(health), query_(std::move(query)), call_verb_(std::move(call_verb)) {}

void ControlHandler::handle(std::shared_ptr<http::Exchange> exchange) {
  std::string_view path = exchange->request().path;
  if (path.starts_with(kVerbs)) {
    if (!require_post(*exchange)) return;
    EventLoop& loop = exchange->loop();
    std::string request(exchange->request().body);  // the connection's, which may go before the flow does
    loop.spawn(perform(std::move(exchange), std::string(path.substr(kVerbs.size())), std::move(request)));
    return;
  }
  if (!require_read(*exchange)) return;
  if (path == "/api/v1/status") return send_status(*exchange);
  if (!path.starts_with(kObjects))
    return send_error(*exchange, 404, "NOT_FOUND", "there is no such resource");
  std::optional<Digest> digest = Digest::parse(path.substr(kObjects.size()));
  if (!digest) return send_error(*exchange, 400, "DIGEST_INVALID", "not a valid digest");
  EventLoop& loop = exchange->loop();
  loop.spawn(send_object(std::move(exchange), *digest));
}

void ControlHandler::send_status(http::Exchange& exchange) const {
  auto uptime = std::chrono::duration_cast<std::chrono::seconds>(health_.uptime());
  send_json(exchange, 200,
            fmt::format(R"({{"version":"{}","pid":{},"state":"{}","uptime_seconds":{}}})", ENTREPOT_VERSION,
                        getpid(), name_of(health_.state()), uptime.count()));
}

Task<void> ControlHandler::perform(std::shared_ptr<http::Exchange> exchange, std::string verb,
                                   std::string request) {
  Task<Result<std::string>> performing = call_verb_(exchange->loop(), std::move(verb), std::move(request));
  Result<std::string> answer = co_await std::move(performing);
  if (answer) {
    send_json(*exchange, 200, std::move(*answer));
    co_return;
  }
  const ErrcInfo& info = describe(answer.error().code);
  send_error(*exchange, info.http_status, info.oci_code, answer.error().message);
}

Task<void> ControlHandler::send_object(std::shared_ptr<http::Exchange> exchange, Digest digest) {
  Task<Result<ObjectState>> query = query_(digest);
  Result<ObjectState> state = co_await std::move(query);
  if (!state) {
    const ErrcInfo& info = describe(state.error().code);
    send_error(*exchange, info.http_status, info.oci_code, info.label);
    co_return;
  }
  send_json(*exchange, 200, fmt::format(R"({{"digest":"{}","state":"{}"}})", digest.text(), name_of(*state)));
}

}  // namespace entrepot::admin
