#include "upstream/public_repositories.h"

#include <algorithm>
#include <utility>

namespace entrepot::upstream {

bool PublicRepositories::is_proven(const std::string& repository, MonotonicTime now) {
  std::lock_guard lock(mutex_);
  auto found = proven_until_.find(repository);
  return found != proven_until_.end() && now < found->second;
}

void PublicRepositories::prove(const std::string& repository, MonotonicTime now) {
  std::lock_guard lock(mutex_);
  proven_until_[repository] = now + kProofHolds;
  if (proven_until_.size() <= kMost) return;
  std::erase_if(proven_until_, [now](const auto& entry) { return entry.second <= now; });
  if (proven_until_.size() > kMost)
    proven_until_.erase(
        std::ranges::min_element(proven_until_, {}, [](const auto& entry) { return entry.second; }));
}

bool PublicRepositories::is_credential_refused(MonotonicTime now) {
  std::lock_guard lock(mutex_);
  return now < refused_until_;
}

bool PublicRepositories::note_refused_credential(MonotonicTime now) {
  std::lock_guard lock(mutex_);
  return std::exchange(refused_until_, now + kRefusalHolds) <= now;
}

}  // namespace entrepot::upstream
