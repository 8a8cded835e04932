// Stores, uses, pins, purges, restarts and other budgets at random, against a model that is a list: the
// budget is never exceeded, what is pinned stays, and what is evicted was used before all that is left.

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "cache/inventory.h"
#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

constexpr uint64_t kMebibyte = 1u << 20;
constexpr uint64_t kNumbers = 40;

class Property {
 public:
  Property(const std::filesystem::path& directory, uint64_t seed)
      : directory_(directory), random_(seed), cache_(directory, budget_) {
    cache_.set_attempts(1);
  }

  void step() {
    switch (random_() % 12) {
      case 0:
        pin(pick(), true);
        break;
      case 1:
      case 2:
        pin(pick(), false);
        break;
      case 3:
        purge(pick());
        break;
      case 4:
        if (random_() % 4 == 0) restart();
        break;
      case 5:
        if (random_() % 3 == 0) set_budget((4 + random_() % 8) * kMebibyte);
        break;
      case 6:
      case 7:
        use(pick());
        break;
      default:
        store(pick());
    }
    for (int i = 0; i < 4; ++i) cache_.settle();
    check();
  }

 private:
  struct Blob {
    uint64_t used_at = 0;
    bool is_pinned = false;
  };

  static std::string bytes(uint64_t number) { return make_bytes(number, 20'000 + number * 11'000); }
  static Digest digest(uint64_t number) { return Digest::of(bytes(number)); }
  uint64_t pick() { return random_() % kNumbers; }
  bool has(uint64_t number) { return cache_->contains(digest(number)).value(); }

  void store(uint64_t number) {
    // What is pinned may leave no room; then nothing is stored, and what was there stays.
    if (!cache_.store(bytes(number))) return;
    blobs_[number].used_at = ++now_;
  }
  void use(uint64_t number) {
    if (!blobs_.contains(number)) return;
    cache_->touch(digest(number));
    blobs_[number].used_at = ++now_;
  }
  void pin(uint64_t number, bool is_pinned) {
    Commit commit;
    (is_pinned ? commit.pins : commit.unpins).push_back(digest(number));
    bool was_here = blobs_.contains(number);
    Status done = cache_.commit(std::move(commit));
    ASSERT_EQ(done.has_value(), was_here || !is_pinned);
    if (!was_here || blobs_[number].is_pinned == is_pinned) return;
    blobs_[number] = {++now_, is_pinned};
  }
  void purge(uint64_t number) {
    Commit commit;
    commit.removals.push_back({kRepository, digest(number)});
    ASSERT_TRUE(cache_.commit(std::move(commit)).has_value());
    bool stays = blobs_.contains(number) && blobs_[number].is_pinned;
    if (!stays) blobs_.erase(number);
    ASSERT_FALSE(cache_.find(digest(number)).has_value());
    if (stays) store(number);  // a link again
  }
  void restart() {
    cache_.reopen();
    ASSERT_TRUE(cache_->set_limits({budget_, 0}).has_value());
  }
  void set_budget(uint64_t budget) {
    if (!cache_->set_limits({budget, 0})) return;  // what is pinned would not fit
    budget_ = budget;
    for (int i = 0; i < 1000 && disk_usage(directory_) > budget; ++i) cache_.settle();
  }

  void check() {
    ASSERT_LE(disk_usage(directory_), budget_);
    ASSERT_LE(cache_->used(), budget_);
    uint64_t newest_gone = 0;
    uint64_t oldest_left = UINT64_MAX;
    for (auto entry = blobs_.begin(); entry != blobs_.end();) {
      auto [number, blob] = *entry;
      if (has(number)) {
        if (!blob.is_pinned) oldest_left = std::min(oldest_left, blob.used_at);
        ++entry;
        continue;
      }
      ASSERT_FALSE(blob.is_pinned) << number << " was pinned, and has gone";
      newest_gone = std::max(newest_gone, blob.used_at);
      entry = blobs_.erase(entry);
    }
    ASSERT_LT(newest_gone, oldest_left) << "evicted out of the order of use";
    CacheTotals totals = cache_->inventory().totals().value();
    ASSERT_EQ(totals.blobs, blobs_.size());
    uint64_t number = pick();
    std::optional<std::string> found = cache_.find(digest(number));
    ASSERT_EQ(found.has_value(), blobs_.contains(number));
    ASSERT_TRUE(!found || *found == bytes(number));
  }

  const std::filesystem::path& directory_;
  std::mt19937_64 random_;
  uint64_t budget_ = 8 * kMebibyte;
  OpenCache cache_;
  uint64_t now_ = 0;
  std::map<uint64_t, Blob> blobs_;
};

class PropertyTest : public testing::TestWithParam<uint64_t> {};

TEST_P(PropertyTest, TheBudgetHoldsPinsHoldAndTheOldestGoesFirst) {
  TemporaryDirectory directory;
  Property property(directory.path(), GetParam());
  const char* steps = std::getenv("ENTREPOT_TEST_STEPS");
  int most = steps != nullptr ? std::atoi(steps) : 100;
  for (int i = 0; i < most && !testing::Test::HasFailure(); ++i) property.step();
}

INSTANTIATE_TEST_SUITE_P(Seeds, PropertyTest, testing::Range<uint64_t>(1, 3));

}  // namespace
}  // namespace entrepot::cache
