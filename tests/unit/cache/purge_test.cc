// Removing links and tags, and what goes with them; pins that outlive what they pin.

#include "cache/inventory.h"
#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

using PurgeTest = CacheTest;

Status link(OpenCache& cache, const Repository& repository, const Digest& digest) {
  Commit commit;
  commit.links.push_back({repository, {digest, 0}});
  return cache.commit(std::move(commit));
}

Status remove(OpenCache& cache, const Repository& repository, const Digest& digest,
              uint64_t before_age = UINT64_MAX) {
  Commit commit;
  commit.removals.push_back({repository, digest, before_age});
  Status removed = cache.commit(std::move(commit));
  for (int i = 0; i < 3; ++i) cache.settle();
  return removed;
}

TEST_F(PurgeTest, WhatNobodyHoldsGoesWithItsFile) {
  OpenCache cache(directory());
  Digest digest = Digest::of("held");
  ASSERT_TRUE(cache.store("held").has_value());
  ASSERT_TRUE(link(cache, kOther, digest).has_value());
  ASSERT_TRUE(remove(cache, kRepository, digest).has_value());
  EXPECT_FALSE(cache.find(digest).has_value());
  EXPECT_TRUE(cache.find(digest, kOther).has_value());
  ASSERT_TRUE(remove(cache, kOther, digest).has_value());
  EXPECT_FALSE(std::filesystem::exists(blob_path(directory(), digest)));
  EXPECT_EQ(cache->inventory().totals().value().links, 0U);
}

TEST_F(PurgeTest, ALinkThatWasConfirmedMeanwhileIsSpared) {
  OpenCache cache(directory());
  Digest digest = Digest::of("wanted again");
  ASSERT_TRUE(cache.store("wanted again").has_value());
  // As a purge has seen it: all links are older than this.
  constexpr uint64_t kSeen = 2;
  cache->set_purging(true);
  ASSERT_TRUE(link(cache, kRepository, digest).has_value());
  ASSERT_TRUE(remove(cache, kRepository, digest, kSeen).has_value());
  EXPECT_TRUE(cache.find(digest).has_value());
  cache->set_purging(false);
  ASSERT_TRUE(remove(cache, kRepository, digest, 1000).has_value());
  EXPECT_FALSE(cache.find(digest).has_value());
}

TEST_F(PurgeTest, ARemovalAndANewFileInOneTransactionLeaveTheNewFile) {
  OpenCache cache(directory());
  std::string bytes = make_bytes(1, 100'000);
  Digest digest = Digest::of(bytes);
  ASSERT_TRUE(cache.store(bytes).has_value());
  std::filesystem::resize_file(blob_path(directory(), digest), 1);
  ASSERT_TRUE(cache.place(digest, bytes).has_value());
  Commit removal;
  removal.removals.push_back({kRepository, digest});
  Commit stored;
  stored.blobs.push_back({.digest = digest, .size = bytes.size(), .manifest_media_type = {}, .children = {}});
  stored.links.push_back({kRepository, {digest, bytes.size()}});
  // Both before the writer looks again.
  cache->commit(std::move(removal), {});
  ASSERT_TRUE(cache.commit(std::move(stored)).has_value());
  for (int i = 0; i < 3; ++i) cache.settle();
  EXPECT_EQ(cache.find(digest), bytes);
  uint64_t used = cache->used();
  cache.reopen();
  EXPECT_EQ(cache->used(), used);
}

TEST_F(PurgeTest, APinOutlivesADamagedFile) {
  constexpr uint64_t kMebibyte = 1u << 20;
  OpenCache cache(directory(), 8 * kMebibyte);
  std::string bytes = make_bytes(1, kMebibyte);
  Digest digest = Digest::of(bytes);
  ASSERT_TRUE(cache.store(bytes).has_value());
  Commit pin;
  pin.pins.push_back(digest);
  ASSERT_TRUE(cache.commit(std::move(pin)).has_value());
  std::filesystem::resize_file(blob_path(directory(), digest), 7);
  EXPECT_FALSE(cache.find(digest).has_value());
  for (int i = 0; i < 3; ++i) cache.settle();
  cache.reopen();
  EXPECT_EQ(cache->inventory().totals().value().pinned_bytes, 0U);
  ASSERT_TRUE(cache.store(bytes).has_value());
  for (uint64_t i = 2; i < 20; ++i) ASSERT_TRUE(cache.store(make_bytes(i, kMebibyte)).has_value());
  EXPECT_EQ(cache.find(digest), bytes);
}

}  // namespace
}  // namespace entrepot::cache
