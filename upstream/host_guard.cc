#include "upstream/host_guard.h"

namespace entrepot::upstream {
namespace {

enum class Sign { answered, not_answered, none };

// What costs nobody time is an answer: also a connection that is closed at once.
Sign sign_of(const Result<ResponseHead>& head) {
  if (head) return Sign::answered;
  switch (head.error().code) {
    case Errc::upstream_unreachable:
    case Errc::upstream_timeout:
      return Sign::not_answered;
    case Errc::upstream_cut:
    case Errc::upstream_failed:
      return Sign::answered;
    default:
      return Sign::none;
  }
}

}  // namespace

Status HostGuard::ask() {
  if (breaker_ == nullptr) return {};
  leave_ = breaker_->ask(loop_.clock().monotonic());
  if (leave_.may_go) return {};
  auto seconds = std::chrono::ceil<std::chrono::seconds>(leave_.pause).count();
  return fail(Error{Errc::upstream_unreachable,
                    host_ + " has not answered, and is left alone for " + std::to_string(seconds) + " s",
                    static_cast<int>(seconds)});
}

void HostGuard::note(const Result<ResponseHead>& head) {
  if (breaker_ == nullptr) return;
  MonotonicTime now = loop_.clock().monotonic();
  Sign sign = sign_of(head);
  if (sign == Sign::none) return breaker_->forgo(leave_, now);
  if (!breaker_->note(sign == Sign::answered, leave_, now)) return;
  if (sign == Sign::answered) {
    origin_.logger.info("upstream {}: {} answers again", origin_.name, host_);
  } else {
    origin_.metrics.breaker_openings.add();
    origin_.logger.warn("upstream {}: {} is left alone for a while: {}", origin_.name, host_,
                        head.error().message);
  }
}

}  // namespace entrepot::upstream
