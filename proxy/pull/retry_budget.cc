#include "proxy/pull/retry_budget.h"

#include <algorithm>

namespace entrepot::pull {
namespace {

constexpr int kTries = 12;
constexpr int kTriesForAnAnswer = 3;
constexpr Duration kFirstWait{50};
constexpr Duration kLongestWait{2'000};
constexpr uint64_t kRealProgress = 64 * 1024;

int tries_for(Errc code, bool has_head) {
  switch (code) {
    case Errc::upstream_cut:
      return kTries;
    case Errc::upstream_failed:
    case Errc::upstream_unreachable:
      return has_head ? kTries : kTriesForAnAnswer;
    case Errc::upstream_timeout:
    case Errc::upstream_rate_limited:
    case Errc::overloaded:
      return has_head ? kTries : 1;
    default:
      return 1;
  }
}

}  // namespace

std::optional<Duration> RetryBudget::after(const Error& error, bool has_head) {
  // "Later" is an answer to who has been told nothing yet.
  if (!has_head && error.retry_after_seconds > 0) return std::nullopt;
  ++failures_;
  if (failures_ >= tries_for(error.code, has_head)) return std::nullopt;
  Duration wait = std::min(kFirstWait * (1 << std::min(failures_ - 1, 10)), kLongestWait);
  return std::max(wait, std::min(Duration(std::chrono::seconds(error.retry_after_seconds)), kLongestWait));
}

void RetryBudget::progress(uint64_t bytes) {
  progress_ += bytes;
  if (progress_ < kRealProgress) return;
  failures_ = 0;
  progress_ = 0;
}

}  // namespace entrepot::pull
