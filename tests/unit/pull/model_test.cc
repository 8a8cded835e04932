// Fills, joins, cuts, cancels, evictions and restarts at random, checked after every step (model_walk.h).
//
//   ENTREPOT_MODEL_SEED   where the first walk starts: what a failure prints
//   ENTREPOT_MODEL_STEPS  how many steps all walks together take

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>

#include "model_walk.h"

namespace entrepot::model {
namespace {

#ifdef ENTREPOT_SANITIZED
constexpr uint64_t kSteps = 15'000;
#else
constexpr uint64_t kSteps = 100'000;
#endif
constexpr uint64_t kStepsPerEpisode = 1000;
constexpr uint64_t kEpisodesPerWalk = 4;
constexpr uint64_t kLoopCounts[] = {1, 2, 4};

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Model : public testing::TestWithParam<uint64_t> {};

// In memory where that is to be had: the walk commits at every other step, and a disk would make it wait.
class Directory {
 public:
  Directory() {
    std::filesystem::path parent = "/dev/shm";
    if (::access(parent.c_str(), W_OK) != 0) parent = std::filesystem::temp_directory_path();
    std::string pattern = (parent / "entrepot-model-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// One walk: a few episodes on the same cache.
bool walk(uint64_t seed, size_t loops, uint64_t steps, Walk::Tally& tally) {
  Directory directory;
  Walk walk(directory.path() / "cache", seed, loops);
  while (steps > 0) {
    uint64_t some = std::min(steps, kStepsPerEpisode);
    if (!walk.run(some)) {
      ADD_FAILURE() << walk.report() << "again: ENTREPOT_MODEL_SEED=" << seed;
      return false;
    }
    steps -= some;
  }
  walk.end();
  for (const auto& [what, count] : walk.tally()) tally[what] += count;
  return true;
}

TEST_P(Model, HoldsWhateverHappens) {
  uint64_t steps = from_environment("ENTREPOT_MODEL_STEPS", kSteps) / std::size(kLoopCounts);
  uint64_t seed = from_environment("ENTREPOT_MODEL_SEED", GetParam() * 1000);
  constexpr uint64_t kStepsPerWalk = kStepsPerEpisode * kEpisodesPerWalk;
  uint64_t left = steps;
  Walk::Tally tally;
  for (; left > 0; ++seed) {
    uint64_t some = std::min(left, kStepsPerWalk);
    if (!walk(seed, GetParam(), some, tally)) return;
    left -= some;
  }
  for (const auto& [what, count] : tally) std::cout << "  " << count << " " << what << "\n";
  // Shorter runs, as with the sanitizers, need not come everywhere.
  if (steps < 4 * kStepsPerWalk) return;
  for (const char* what :
       {"hit", "miss", "collapsed", "bypass", "left", "transfers resumed", "stretches", "ranges refused",
        "GETs of another origin", "digest_mismatch", "evictions", "restarts"})
    EXPECT_GT(tally[what], 0u) << what << ": the walks do not come there";
}

INSTANTIATE_TEST_SUITE_P(Loops, Model, testing::ValuesIn(kLoopCounts));

}  // namespace
}  // namespace entrepot::model
