// Random operations against a model: nothing wrong is ever found, nothing acknowledged is lost except by
// eviction, and the budget is never exceeded.

#include <algorithm>
#include <random>

#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

constexpr uint64_t kBudget = 6u << 20;

class RandomWalk {
 public:
  RandomWalk(const std::filesystem::path& directory, uint64_t seed)
      : directory_(directory), random_(seed), cache_(directory, kBudget) {
    cache_.set_attempts(1);
  }

  void step() {
    switch (random_() % 10) {
      case 0:
        return leave_part();
      case 1:
        return drop_file();
      case 2:
        return hold();
      case 3:
        return let_go();
      case 4:
        return random_() % 4 == 0 ? cache_.reopen() : cache_.settle();
      case 5:
        return touch();
      default:
        return store();
    }
  }

  void check() {
    ASSERT_LE(disk_usage(directory_), kBudget);
    ASSERT_LE(cache_->used(), kBudget);
    uint64_t number = random_() % kNumbers;
    Digest digest = Digest::of(bytes(number));
    std::optional<std::string> found = cache_.find(digest);
    ASSERT_TRUE(!found || *found == bytes(number)) << number;
    for (const auto& [file, held] : held_) ASSERT_EQ(read_whole(file), bytes(held));
  }

 private:
  static constexpr uint64_t kNumbers = 60;

  static std::string bytes(uint64_t number) {
    return make_bytes(number, number % 7 == 0 ? number * 10 : 20'000 + number * 9'000);
  }
  uint64_t pick() { return random_() % kNumbers; }

  void store() { (void)cache_.store(bytes(pick())); }

  void leave_part() {
    std::string whole = bytes(pick());
    auto part = cache_->open_part(Digest::of(whole), random_() % 2 == 0 ? whole.size() : 0);
    if (!part) return;
    ASSERT_TRUE((*part)->absorb((*part)->found()));
    std::string_view rest = std::string_view(whole).substr((*part)->size());
    (void)(*part)->append(rest.substr(0, random_() % (rest.size() + 1)));
    if (random_() % 3 == 0)
      (*part)->discard();
    else if (random_() % 2 == 0)
      (*part)->leave();
  }

  void drop_file() { std::filesystem::remove(blob_path(directory_, Digest::of(bytes(pick())))); }

  void hold() {
    uint64_t number = pick();
    auto found = cache_->find_blob(kRepository, Digest::of(bytes(number)));
    if (found && *found) held_.emplace_back((*found)->file, number);
  }

  void let_go() {
    if (!held_.empty()) held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(random_() % held_.size()));
  }

  void touch() { cache_->touch(Digest::of(bytes(pick()))); }

  std::filesystem::path directory_;
  std::mt19937_64 random_;
  std::vector<std::pair<SharedFd, uint64_t>> held_;
  OpenCache cache_;
};

class RandomTest : public CacheTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(RandomTest, TheBudgetIsNeverExceededAndNoWrongByteIsFound) {
  RandomWalk walk(directory(), GetParam());
  for (int i = 0; i < 100 && !HasFatalFailure(); ++i) {
    walk.step();
    walk.check();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomTest, testing::Range<uint64_t>(1, 5));

}  // namespace
}  // namespace entrepot::cache
