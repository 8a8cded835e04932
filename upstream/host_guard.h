#pragma once

#include "base/loop/event_loop.h"
#include "base/result.h"
#include "upstream/breaker.h"
#include "upstream/origin.h"
#include "upstream/response_head.h"
#include "upstream/url.h"

namespace entrepot::upstream {

/// One request's way past the breaker of the host that it is for. On the stack of the flow that sends it.
class HostGuard {
 public:
  /// `breaker` is null for a host that has none: what redirects lead to.
  HostGuard(const Origin& origin, Breaker* breaker, EventLoop& loop, const Url& url)
      : origin_(origin), breaker_(breaker), loop_(loop), host_(url.authority()) {}

  /// Whether it may go: else upstream_unreachable, with the time in retry_after_seconds.
  Status ask();
  /// What came of it.
  void note(const Result<ResponseHead>& head);

 private:
  const Origin& origin_;
  Breaker* breaker_;
  EventLoop& loop_;
  const std::string host_;
  Breaker::Leave leave_;
};

}  // namespace entrepot::upstream
