#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/result.h"

namespace entrepot::pull {

/// How often a fetch that fails is tried again, and after how long: 50 ms, doubling to 2 s. A transfer that
/// breaks has 12 tries, and 64 KiB of progress give it 12 new ones. What the upstream answers with an error,
/// or not at all, is soon passed on while no client has been told anything: he may know another way (P9, P8).
/// At once when it says how long to wait.
class RetryBudget {
 public:
  /// The fetch has failed: how long to wait before the next try; nothing = give up. `has_head`: clients have
  /// been told that the blob is coming.
  std::optional<Duration> after(const Error& error, bool has_head);
  /// So many bytes came that were not there before.
  void progress(uint64_t bytes);

 private:
  int failures_ = 0;
  uint64_t progress_ = 0;
};

}  // namespace entrepot::pull
