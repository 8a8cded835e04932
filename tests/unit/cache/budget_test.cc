// used() and max_size against what the file system says.

#include <thread>

#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

constexpr uint64_t kMebibyte = 1u << 20;
constexpr uint64_t kBudget = 12 * kMebibyte;

TEST_F(CacheTest, UsedCoversWhatDuCountsFromTheStart) {
  OpenCache cache(directory());
  EXPECT_GE(cache->used(), disk_usage(directory()));
  EXPECT_LE(cache->used(), disk_usage(directory()) + kMebibyte);
}

TEST_F(CacheTest, UsedIsTheSameAfterARestart) {
  OpenCache cache(directory());
  for (uint64_t i = 0; i < 20; ++i) ASSERT_TRUE(cache.store(make_bytes(i, 50'000 + i * 1000)).has_value());
  cache.settle();
  uint64_t before = cache->used();
  EXPECT_GE(before, disk_usage(directory()));
  cache.reopen();
  EXPECT_GE(cache->used(), disk_usage(directory()));
  EXPECT_NEAR(static_cast<double>(cache->used()), static_cast<double>(before), 64 * 1024);
}

TEST_F(CacheTest, ManySmallBlobsCountByBlocksNotByLength) {
  OpenCache cache(directory());
  uint64_t before = cache->used();
  for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(cache.store("small " + std::to_string(i)).has_value());
  cache.settle();
  EXPECT_GE(cache->used(), before + 100 * 512);
  EXPECT_GE(cache->used(), disk_usage(directory()));
}

TEST_F(CacheTest, ABudgetTooSmallForAnythingStoresNothingAndSaysSo) {
  OpenCache cache(directory(), 4096);
  auto part = cache->open_part(Digest::of("x"), 1);
  ASSERT_FALSE(part.has_value());
  EXPECT_EQ(part.error().code, Errc::disk_full);
  Commit tag;
  tag.tags.push_back({kRepository, "latest", Digest::of("x"), {}});
  Status committed = cache.commit(std::move(tag));
  ASSERT_FALSE(committed.has_value());
  EXPECT_EQ(committed.error().code, Errc::disk_full);
}

TEST_F(CacheTest, ParallelFillsTogetherStayWithinTheBudget) {
  OpenCache cache(directory(), kBudget);
  cache.set_attempts(1);
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&cache, t, this] {
      for (uint64_t i = 0; i < 12; ++i) {
        // Refused now and then when all four want room at once; never beyond the budget.
        (void)cache.store(make_bytes(t * 100 + i, kMebibyte + 4096 * i));
        EXPECT_LE(disk_usage(directory()), kBudget);
        EXPECT_LE(cache->used(), kBudget);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace entrepot::cache
