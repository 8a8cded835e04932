#pragma once

#include <functional>
#include <memory>

#include "base/digest.h"
#include "base/result.h"
#include "base/task/task.h"
#include "proxy/admin/health.h"
#include "proxy/http/exchange.h"

namespace entrepot::admin {

/// Where an object is on its way into the cache. `committed`: it survives a crash.
enum class ObjectState { absent, filling, committed };
std::string_view name_of(ObjectState state);

/// Asks for it; what main puts in knows the fills and the cache. Called on the handler's loop.
using ObjectStateQuery = std::function<Task<Result<ObjectState>>(Digest digest)>;

/// Performs a verb on the cache: its name and the request's body give the answer's body, both JSON. Called on
/// the handler's loop.
using CallVerb =
    std::function<Task<Result<std::string>>(EventLoop& loop, std::string verb, std::string request)>;

/// The control listener (unix socket, mode 0600: who may open it may do everything): GET of
///
///     /api/v1/objects/<digest>   {"digest":"sha256:…","state":"absent|filling|committed"}
///     /api/v1/status             {"version":…,"pid":…,"state":"opening|ready|draining","uptime_seconds":…}
///
/// and POST of
///
///     /api/v1/verbs/<verb>       what docs/managing.md says of each
///
/// Errors are JSON. One per loop, made by main; loop's thread only; outlives its flows.
class ControlHandler final : public http::Handler {
 public:
  static constexpr size_t kMaxBody = 1 << 20;

  ControlHandler(const Health& health, ObjectStateQuery query, CallVerb call_verb);

  void handle(std::shared_ptr<http::Exchange> exchange) override;

 private:
  void send_status(http::Exchange& exchange) const;
  Task<void> perform(std::shared_ptr<http::Exchange> exchange, std::string verb, std::string request);
  Task<void> send_object(std::shared_ptr<http::Exchange> exchange, Digest digest);

  const Health& health_;
  const ObjectStateQuery query_;
  const CallVerb call_verb_;
};

}  // namespace entrepot::admin
