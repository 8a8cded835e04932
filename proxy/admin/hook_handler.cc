#include "proxy/admin/hook_handler.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <utility>

#include "base/loop/event_loop.h"
#include "proxy/admin/json_answer.h"

namespace entrepot::admin {
namespace {

constexpr const char* kMetric = "entrepot_hooks_total";
constexpr const char* kHelp = "Push events that came to the hooks listener";

}  // namespace

HookHandler::HookHandler(Metrics& metrics, Secret secret, TakeEvent take)
    : secret_(std::move(secret)),
      take_(std::move(take)),
      taken_(metrics.counter(kMetric, kHelp, {{"result", "taken"}})),
      ignored_(metrics.counter(kMetric, kHelp, {{"result", "ignored"}})),
      refused_(metrics.counter(kMetric, kHelp, {{"result", "refused"}})) {}

void HookHandler::handle(std::shared_ptr<http::Exchange> exchange) {
  const http::Request& request = exchange->request();
  if (!is_secret(request.path)) {
    refused_.add();
    return send_error(*exchange, 404, "NOT_FOUND", "there is no such resource");
  }
  if (!require_post(*exchange)) return;
  EventLoop& loop = exchange->loop();
  std::string body(request.body);  // it is the connection's, which may go before the flow does
  loop.spawn(answer(std::move(exchange), std::move(body)));
}

// Takes as long for a wrong path as for one that is nearly right.
bool HookHandler::is_secret(std::string_view path) const {
  std::string_view wanted = secret_.reveal();
  return path.size() == wanted.size() + 1 && path.front() == '/' &&
         CRYPTO_memcmp(path.data() + 1, wanted.data(), wanted.size()) == 0;
}

Task<void> HookHandler::answer(std::shared_ptr<http::Exchange> exchange, std::string body) {
  Task<Result<HookOutcome>> taking = take_(std::move(body));
  Result<HookOutcome> outcome = co_await std::move(taking);
  if (!outcome) {
    refused_.add();
    if (outcome.error().code == Errc::config_invalid)
      send_error(*exchange, 400, "BAD_REQUEST", outcome.error().message);  // parse_push_event's
    else
      send_error(*exchange, 503, "UNAVAILABLE", "the event could not be noted");
    co_return;
  }
  (outcome->is_ignored ? ignored_ : taken_).add();
  send_json(*exchange, 200,
            outcome->is_ignored ? std::string(R"({"ignored":true})")
                                : fmt::format(R"({{"revalidated":{}}})", outcome->tags));
}

}  // namespace entrepot::admin
