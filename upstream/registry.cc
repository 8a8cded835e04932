#include "upstream/registry.h"

namespace entrepot::upstream {

bool is_no_answer(const Error& error) {
  switch (error.code) {
    case Errc::upstream_unreachable:
    case Errc::upstream_timeout:
    case Errc::upstream_cut:
    case Errc::upstream_failed:
    case Errc::upstream_rate_limited:
    case Errc::upstream_refused_credential:
    case Errc::policy_refused:
    case Errc::offline:
    case Errc::shutting_down:
    case Errc::overloaded:
      return true;
    default:
      return false;
  }
}

}  // namespace entrepot::upstream
