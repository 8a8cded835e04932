#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/metrics.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/task/task.h"
#include "proxy/http/exchange.h"

namespace entrepot::admin {

/// What became of an event: how many tags will be asked for anew, or that it is none of ours.
struct HookOutcome {
  bool is_ignored = false;
  size_t tags = 0;
};

/// Takes an event in; what main puts in knows registries and tags. Called on the handler's loop.
/// config_invalid: it is malformed, and nothing has changed.
using TakeEvent = std::function<Task<Result<HookOutcome>>(std::string body)>;

/// The hooks listener (TCP): POST of a push event, as JSON of at most kMaxBody bytes, to
///
///     /<secret>    200 {"revalidated":2}, 200 {"ignored":true}, 400: malformed
///
/// Any other path is 404, so that the secret cannot be found out; another verb 405. One per loop, made by
/// main; loop's thread only; outlives its flows.
class HookHandler final : public http::Handler {
 public:
  static constexpr size_t kMaxBody = 256 * 1024;

  HookHandler(Metrics& metrics, Secret secret, TakeEvent take);
  void handle(std::shared_ptr<http::Exchange> exchange) override;

 private:
  bool is_secret(std::string_view path) const;
  Task<void> answer(std::shared_ptr<http::Exchange> exchange, std::string body);

  const Secret secret_;
  const TakeEvent take_;
  Counter taken_;
  Counter ignored_;
  Counter refused_;
};

}  // namespace entrepot::admin
