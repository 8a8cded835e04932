#pragma once

#include <algorithm>
#include <string>
#include <unordered_map>

#include "base/clock.h"

namespace entrepot::pull {

/// Holds back who asks for names that do not exist. The upstream is asked for each, since it alone can know,
/// and its rate limit is everybody's: so a client may have it asked for `kBurst` such names, and for one more
/// every `kInterval`. What the cache can answer is not held back, nor is what exists.
///
/// One per loop: names are spread evenly over their home loops, each of which counts its share. Bounded: when
/// too many clients are known, all of them begin anew.
class MissLimit {
 public:
  static constexpr int kBurst = 1000;
  static constexpr Duration kInterval{50};
  static constexpr size_t kMaxClients = 4096;

  explicit MissLimit(size_t loops) : interval_(kInterval * static_cast<int64_t>(loops)) {}

  /// How long this client must wait before the upstream is asked for him again; zero: not at all.
  Duration wait_of(const std::string& client, MonotonicTime now) const {
    auto found = paid_until_.find(client);
    if (found == paid_until_.end()) return Duration::zero();
    auto wait = found->second - now - kInterval * kBurst + interval_;
    return std::max(Duration::zero(), std::chrono::ceil<Duration>(wait));
  }

  /// The upstream was asked for this client, and had nothing.
  void count(const std::string& client, MonotonicTime now) {
    if (paid_until_.size() >= kMaxClients && !paid_until_.contains(client)) make_room(now);
    MonotonicTime& until = paid_until_[client];
    until = std::max(until, now) + interval_;
  }

 private:
  void make_room(MonotonicTime now) {
    std::erase_if(paid_until_, [now](const auto& entry) { return entry.second <= now; });
    if (paid_until_.size() >= kMaxClients) paid_until_.clear();
  }

  const Duration interval_;  // of one loop
  // A token bucket as one number: with every miss it moves on by the interval, and it may be no further ahead
  // of now than the burst takes to come back.
  std::unordered_map<std::string, MonotonicTime> paid_until_;
};

}  // namespace entrepot::pull
