// What is evicted, in which order, and what is not.

#include <gmock/gmock.h>

#include <mutex>

#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

constexpr uint64_t kMebibyte = 1u << 20;

/// Blobs of one mebibyte each, by number.
class EvictionTest : public CacheTest {
 protected:
  static std::string bytes(uint64_t number) { return make_bytes(number, kMebibyte); }
  static Digest digest(uint64_t number) { return Digest::of(bytes(number)); }

  static void store(OpenCache& cache, uint64_t first, uint64_t last) {
    for (uint64_t i = first; i <= last; ++i) ASSERT_TRUE(cache.store(bytes(i)).has_value()) << i;
    // One transaction to evict, one to have removed the rows.
    for (int i = 0; i < 3; ++i) cache.settle();
  }
  static bool has(OpenCache& cache, uint64_t number) { return cache->contains(digest(number)).value(); }
};

TEST_F(EvictionTest, TheLeastRecentlyUsedGoesFirst) {
  OpenCache cache(directory(), 10 * kMebibyte);
  store(cache, 1, 8);
  cache->touch(digest(1));
  cache->touch(digest(2));
  store(cache, 9, 12);
  EXPECT_TRUE(has(cache, 1));
  EXPECT_TRUE(has(cache, 2));
  EXPECT_FALSE(has(cache, 3));
  EXPECT_FALSE(has(cache, 4));
  EXPECT_TRUE(has(cache, 12));
  EXPECT_LE(disk_usage(directory()), 10 * kMebibyte);
}

TEST_F(EvictionTest, ALaterTouchOfTheSameBlobCounts) {
  OpenCache cache(directory(), 10 * kMebibyte);
  store(cache, 1, 8);
  for (uint64_t number : {1u, 2u, 3u, 1u}) cache->touch(digest(number));
  store(cache, 9, 14);
  EXPECT_TRUE(has(cache, 1));
  EXPECT_FALSE(has(cache, 2));
}

TEST_F(EvictionTest, TheOrderSurvivesARestart) {
  OpenCache cache(directory(), 10 * kMebibyte);
  store(cache, 1, 8);
  cache->touch(digest(1));
  cache.reopen();
  store(cache, 9, 11);
  EXPECT_TRUE(has(cache, 1));
  EXPECT_FALSE(has(cache, 2));
}

TEST_F(EvictionTest, AnEvictedBlobsFileIsGoneAndItsManifestRowToo) {
  OpenCache cache(directory(), 10 * kMebibyte);
  ASSERT_TRUE(cache.store_manifest("{}").has_value());
  store(cache, 1, 14);
  EXPECT_FALSE(cache->contains(Digest::of("{}")).value());
  EXPECT_FALSE(std::filesystem::exists(blob_path(directory(), Digest::of("{}"))));
  EXPECT_FALSE(cache->find_manifest(kRepository, Digest::of("{}")).value().has_value());
  EXPECT_TRUE(cache->find_link(kRepository, Digest::of("{}")).value().has_value())
      << "a link outlives the blob";
}

TEST_F(EvictionTest, PinnedBlobsAreNeverEvictedAndUnpinnedOnesAgain) {
  OpenCache cache(directory(), 10 * kMebibyte);
  store(cache, 1, 2);
  Commit pin;
  pin.pins = {digest(1), digest(2)};
  ASSERT_TRUE(cache.commit(std::move(pin)).has_value());
  store(cache, 3, 20);
  EXPECT_TRUE(has(cache, 1));
  EXPECT_TRUE(has(cache, 2));
  cache.reopen();
  Commit unpin;
  unpin.unpins = {digest(1)};
  ASSERT_TRUE(cache.commit(std::move(unpin)).has_value());
  store(cache, 21, 40);
  EXPECT_FALSE(has(cache, 1));
  EXPECT_TRUE(has(cache, 2));
}

TEST_F(EvictionTest, WhatIsNotThereCannotBePinned) {
  OpenCache cache(directory());
  Commit pin;
  pin.pins = {digest(1)};
  Status pinned = cache.commit(std::move(pin));
  ASSERT_FALSE(pinned.has_value());
  EXPECT_EQ(pinned.error().code, Errc::blob_unknown);
}

TEST_F(EvictionTest, WhenAllIsPinnedNewBlobsAreRefused) {
  OpenCache cache(directory(), 10 * kMebibyte);
  store(cache, 1, 8);
  Commit pin;
  for (uint64_t i = 1; i <= 8; ++i) pin.pins.push_back(digest(i));
  ASSERT_TRUE(cache.commit(std::move(pin)).has_value());
  auto part = cache->open_part(digest(9), 4 * kMebibyte);
  ASSERT_FALSE(part.has_value());
  EXPECT_EQ(part.error().code, Errc::disk_full);
  for (uint64_t i = 1; i <= 8; ++i) EXPECT_TRUE(has(cache, i));
}

TEST_F(EvictionTest, OfflineNothingIsEvicted) {
  {
    OpenCache cache(directory(), 20 * kMebibyte);
    store(cache, 1, 15);
  }
  OpenCache cache(Options{directory().string(), 10 * kMebibyte, 0, true});
  EXPECT_FALSE(cache->open_part(digest(99), kMebibyte).has_value());
  for (uint64_t i = 1; i <= 15; ++i) EXPECT_TRUE(has(cache, i));
}

TEST_F(EvictionTest, AnEvictedBlobThatIsBeingSentKeepsItsBytesAndCountsThem) {
  OpenCache cache(directory(), 10 * kMebibyte);
  store(cache, 1, 4);
  FoundBlob sending = *cache->find_blob(kRepository, digest(1)).value();
  store(cache, 5, 16);
  EXPECT_FALSE(has(cache, 1));
  EXPECT_EQ(read_whole(sending.file), bytes(1));
  EXPECT_GE(cache->used(), disk_usage(directory()) + kMebibyte);
  sending.file.reset();
  for (int i = 0; i < 2; ++i) cache.settle();
  EXPECT_LT(cache->used(), disk_usage(directory()) + kMebibyte);
}

TEST_F(EvictionTest, AnEvictedBlobIsReadableThroughItsPartsDescriptorToo) {
  OpenCache cache(directory(), 10 * kMebibyte);
  auto part = cache->open_part(digest(1), kMebibyte).value();
  ASSERT_TRUE(part->append(bytes(1)).has_value() && part->verify().has_value() && part->place().has_value());
  SharedFd follower = part->file();
  part.reset();
  Commit one;
  one.blobs.push_back({digest(1), kMebibyte, "", {}});
  ASSERT_TRUE(cache.commit(std::move(one)).has_value());
  store(cache, 2, 14);
  EXPECT_FALSE(has(cache, 1));
  EXPECT_EQ(read_whole(follower), bytes(1));
  EXPECT_GE(cache->used(), disk_usage(directory()) + kMebibyte);
}

TEST_F(EvictionTest, TheListenerHearsOfEachEvictionBeforeTheFileGoes) {
  OpenCache cache(directory(), 10 * kMebibyte);
  std::mutex mutex;
  std::vector<Digest> heard;
  bool was_there = true;
  cache->set_evict_listener([&](const Digest& evicted) {
    std::lock_guard lock(mutex);
    heard.push_back(evicted);
    was_there = was_there && std::filesystem::exists(blob_path(directory(), evicted));
  });
  store(cache, 1, 14);
  std::lock_guard lock(mutex);
  EXPECT_TRUE(was_there);
  ASSERT_FALSE(heard.empty());
  for (size_t i = 0; i < heard.size(); ++i) EXPECT_EQ(heard[i], digest(i + 1));
}

TEST_F(EvictionTest, AnIdlePartIsEvictedInItsTurnAndAnOpenOneIsNot) {
  OpenCache cache(directory(), 10 * kMebibyte);
  auto open = cache->open_part(digest(100), kMebibyte).value();
  ASSERT_TRUE(open->append(bytes(100).substr(0, kMebibyte / 2)).has_value());
  auto idle = cache->open_part(digest(101), kMebibyte).value();
  ASSERT_TRUE(idle->append(bytes(101).substr(0, kMebibyte / 2)).has_value());
  idle.reset();
  store(cache, 1, 14);
  EXPECT_FALSE(std::filesystem::exists(part_path(directory(), digest(101))));
  EXPECT_TRUE(std::filesystem::exists(part_path(directory(), digest(100))));
  EXPECT_EQ(read_whole(open->file()), bytes(100).substr(0, kMebibyte / 2));
}

TEST_F(EvictionTest, AnEvictedBlobCanBeStoredAgain) {
  OpenCache cache(directory(), 10 * kMebibyte);
  store(cache, 1, 14);
  ASSERT_FALSE(has(cache, 1));
  store(cache, 1, 1);
  EXPECT_EQ(cache.find(digest(1)), bytes(1));
  cache.reopen();
  EXPECT_EQ(cache.find(digest(1)), bytes(1));
}

TEST_F(EvictionTest, ASmallerBudgetAtTheNextStartIsKept) {
  {
    OpenCache cache(directory(), 20 * kMebibyte);
    store(cache, 1, 15);
  }
  OpenCache cache(directory(), 10 * kMebibyte);
  for (int i = 0; i < 4; ++i) cache.settle();
  EXPECT_LE(disk_usage(directory()), 10 * kMebibyte);
  EXPECT_TRUE(has(cache, 15));
}

TEST_F(EvictionTest, TheFileSystemsFreeSpaceIsKeptToo) {
  Options options{directory().string(), 1u << 30, UINT64_MAX / 4, false};
  OpenCache cache(options);
  auto part = cache->open_part(digest(1), kMebibyte);
  ASSERT_FALSE(part.has_value());
  EXPECT_EQ(part.error().code, Errc::disk_full);
}

}  // namespace
}  // namespace entrepot::cache
