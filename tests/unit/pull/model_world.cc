#include "model_world.h"

#include <algorithm>

#include "base/check.h"

namespace entrepot::model {

std::string random_bytes(Random& random, size_t size) {
  std::string bytes;
  bytes.reserve(size + sizeof(uint64_t));
  while (bytes.size() < size) {
    uint64_t eight = random();
    bytes.append(reinterpret_cast<const char*>(&eight), sizeof eight);
  }
  bytes.resize(size);
  return bytes;
}

World::World(Random& random, uint64_t too_large) {
  std::vector<size_t> sizes{0, 1, 65'536, 65'537, 131'072};
  for (int i = 0; i < 15; ++i) sizes.push_back(2 + below(random, 300 * 1024));
  if (too_large > 0) sizes.push_back(too_large);
  for (size_t size : sizes) {
    std::string bytes = random_bytes(random, size);
    Digest digest = Digest::of(bytes);
    blobs_.push_back({std::move(bytes), digest});
  }
  repositories_ = {{"docker.io", "library/a"},
                   {"docker.io", "library/b"},
                   {"docker.io", "private/c"},
                   {"quay.io", "library/a"}};
  for (size_t i = 0; i < repositories_.size(); ++i) {
    rights_.emplace_back();
    for (size_t k = 0; k < blobs_.size(); ++k) {
      bool is_granted = i == 0 || chance(random, 75);
      Right refusal = chance(random, 50) ? Right::missing : Right::forbidden;
      rights_.back().push_back(is_granted ? Right::granted : refusal);
    }
  }
}

World::Right World::right(const std::string& upstream, const std::string& repository,
                          const Digest& digest) const {
  auto found = std::ranges::find(repositories_, cache::Repository{upstream, repository});
  CHECK(found != repositories_.end());
  return right(static_cast<size_t>(found - repositories_.begin()), blob_of(digest));
}

size_t World::blob_of(const Digest& digest) const {
  auto found = std::ranges::find(blobs_, digest, &Blob::digest);
  CHECK(found != blobs_.end());
  return static_cast<size_t>(found - blobs_.begin());
}

void World::add_wrong(size_t blob, uint64_t at, std::string bytes) {
  std::lock_guard lock(mutex_);
  wrong_[blob].push_back({at, std::move(bytes)});
}

bool World::has_wrong(size_t blob) const {
  std::lock_guard lock(mutex_);
  return wrong_.contains(blob);
}

bool World::was_sent(size_t blob, uint64_t at, char byte) const {
  std::lock_guard lock(mutex_);
  auto found = wrong_.find(blob);
  if (found == wrong_.end()) return false;
  return std::ranges::any_of(found->second, [&](const Wrong& wrong) {
    return at >= wrong.at && at - wrong.at < wrong.bytes.size() && wrong.bytes[at - wrong.at] == byte;
  });
}

std::string World::judge(size_t blob, uint64_t at, std::string_view bytes, bool& is_right) const {
  std::string_view right = blobs_[blob].bytes;
  right = right.substr(std::min<uint64_t>(at, right.size()), bytes.size());
  if (bytes == right) return "";
  is_right = false;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i < right.size() && bytes[i] == right[i]) continue;
    if (!was_sent(blob, at + i, bytes[i]))
      return "byte " + std::to_string(at + i) + " of blob " + std::to_string(blob) + " (" +
             std::to_string(blobs_[blob].bytes.size()) + " bytes) is one that nobody sent";
  }
  return "";
}

}  // namespace entrepot::model
