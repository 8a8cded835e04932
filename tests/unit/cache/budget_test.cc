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

TEST_F(CacheTest, ABudgetTooSmallForTheIndexIsRefusedWithTheFigureThatIsNeeded) {
  SystemClock clock;
  Logger logger({LogLevel::error, LogFormat::text, 2});
  Metrics metrics;
  auto refused = Cache::open({.directory = directory(), .max_size = 4096}, clock, logger, metrics);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::config_invalid);
  std::string_view message = refused.error().message;
  size_t figure = message.find(", and ");
  ASSERT_NE(figure, std::string_view::npos) << message;
  uint64_t least = std::stoull(std::string(message.substr(figure + 6)));
  OpenCache cache(directory(), least);
  EXPECT_TRUE(cache.store("x").has_value());
}

TEST_F(CacheTest, AnotherBudgetCountsAtOnce) {
  OpenCache cache(directory(), kBudget);
  for (uint64_t i = 0; i < 6; ++i) ASSERT_TRUE(cache.store(make_bytes(i, kMebibyte)).has_value());
  Cache::Limits smaller{3 * kMebibyte, 0};
  ASSERT_TRUE(cache->set_limits(smaller).has_value());
  for (int i = 0; i < 1000 && disk_usage(directory()) > smaller.max_size; ++i) cache.settle();
  EXPECT_LE(disk_usage(directory()), smaller.max_size);
  EXPECT_TRUE(cache.find(Digest::of(make_bytes(5, kMebibyte))).has_value());
  EXPECT_FALSE(cache.find(Digest::of(make_bytes(0, kMebibyte))).has_value());
  EXPECT_FALSE(cache->set_limits({4096, 0}).has_value());
  EXPECT_EQ(cache->limits().max_size, smaller.max_size);
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
