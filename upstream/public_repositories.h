#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include "base/clock.h"

namespace entrepot::upstream {

/// What is known of one upstream with `access = "public"`: which repositories anybody may read, and whether
/// our credential has been refused. Shared by all loops, any thread, never waits. Owned by the Upstream.
class PublicRepositories {
 public:
  /// So long a proof holds: a repository that is made private meanwhile is fetched from for so long.
  static constexpr Duration kProofHolds{300'000};
  /// So long a refused credential is not shown again.
  static constexpr Duration kRefusalHolds{60'000};
  /// With more, the oldest proof is forgotten.
  static constexpr size_t kMost = 4096;

  bool is_proven(const std::string& repository, MonotonicTime now);
  void prove(const std::string& repository, MonotonicTime now);

  bool is_credential_refused(MonotonicTime now);
  /// Whether it was not known yet, so that it is to be told.
  bool note_refused_credential(MonotonicTime now);

 private:
  std::mutex mutex_;
  std::map<std::string, MonotonicTime> proven_until_;
  MonotonicTime refused_until_;
};

}  // namespace entrepot::upstream
