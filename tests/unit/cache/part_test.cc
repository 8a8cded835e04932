#include "cache/part.h"

#include <future>

#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

TEST_F(CacheTest, APartGrowsAndIsReadableWhileItDoes) {
  OpenCache cache(directory());
  auto part = cache->open_part(Digest::of("hello world"), 11).value();
  ASSERT_TRUE(part->append("hello ").has_value());
  EXPECT_EQ(part->size(), 6u);
  EXPECT_EQ(read_whole(part->file()), "hello ");
  ASSERT_TRUE(part->append("world").has_value());
  SharedFd before = part->file();
  ASSERT_TRUE(part->verify().has_value());
  ASSERT_TRUE(part->place().has_value());
  EXPECT_EQ(part->file(), before);
  EXPECT_EQ(read_whole(before), "hello world");
}

TEST_F(CacheTest, APartWithOtherBytesDoesNotVerifyAndLeavesNothing) {
  OpenCache cache(directory());
  Digest digest = Digest::of("right");
  auto part = cache->open_part(digest, 5).value();
  ASSERT_TRUE(part->append("wrong").has_value());
  Status verified = part->verify();
  ASSERT_FALSE(verified.has_value());
  EXPECT_EQ(verified.error().code, Errc::digest_mismatch);
  part->discard();
  part.reset();
  EXPECT_FALSE(std::filesystem::exists(part_path(directory(), digest)));
  EXPECT_FALSE(std::filesystem::exists(blob_path(directory(), digest)));
}

TEST_F(CacheTest, APlacedPartKeepsItsNameUntilTheCommitAndNotLonger) {
  OpenCache cache(directory());
  Digest digest = Digest::of("placed");
  ASSERT_TRUE(cache.place(digest, "placed").has_value());
  EXPECT_TRUE(std::filesystem::exists(part_path(directory(), digest)));
  EXPECT_TRUE(std::filesystem::exists(blob_path(directory(), digest)));
  Commit one;
  one.blobs.push_back({digest, 6, "", {}});
  ASSERT_TRUE(cache.commit(std::move(one)).has_value());
  cache.settle();
  EXPECT_FALSE(std::filesystem::exists(part_path(directory(), digest)));
  EXPECT_EQ(read_whole(blob_path(directory(), digest)), "placed");
}

TEST_F(CacheTest, WhilePlacedAndNotCommittedNoOtherPartOfTheDigestIsOpened) {
  OpenCache cache(directory());
  Digest digest = Digest::of("placed");
  ASSERT_TRUE(cache.place(digest, "placed").has_value());
  auto second = cache->open_part(digest, 6);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::overloaded);
  EXPECT_TRUE(std::filesystem::exists(part_path(directory(), digest)));
}

TEST_F(CacheTest, APartOfTheDigestMayBeOpenedFromTheMomentTheCommitIsDone) {
  OpenCache cache(directory());
  Digest digest = Digest::of("placed");
  ASSERT_TRUE(cache.place(digest, "placed").has_value());
  std::promise<bool> opened;
  Commit one;
  one.blobs.push_back({digest, 6, "", {}});
  cache->commit(std::move(one),
                [&](const Status&) { opened.set_value(cache->open_part(digest, 6).has_value()); });
  EXPECT_TRUE(opened.get_future().get());
}

TEST_F(CacheTest, ADiscardedPartCountsWhatItHoldsUntilItsReadersHaveGone) {
  OpenCache cache(directory());
  uint64_t before = cache->used();
  auto part = cache->open_part(Digest::of("x"), 50u << 20).value();
  EXPECT_GE(cache->used(), before + (50u << 20));
  ASSERT_TRUE(part->append(make_bytes(1, 1u << 20)).has_value());
  SharedFd reader = part->file();
  part->discard();
  EXPECT_GE(cache->used(), before + (1u << 20));
  EXPECT_LT(cache->used(), before + (2u << 20));
  part.reset();
  EXPECT_GE(cache->used(), before + (1u << 20));
  reader.reset();
  cache.settle();
  cache.settle();
  EXPECT_LT(cache->used(), before + (1u << 20));
}

TEST_F(CacheTest, APartThatIsDroppedStaysAndIsCountedByWhatItHolds) {
  OpenCache cache(directory());
  Digest digest = Digest::of("y");
  auto part = cache->open_part(digest, 50u << 20).value();
  ASSERT_TRUE(part->append(make_bytes(1, 100'000)).has_value());
  part.reset();
  cache.settle();
  EXPECT_TRUE(std::filesystem::exists(part_path(directory(), digest)));
  EXPECT_LT(cache->used(), 2u << 20);
  EXPECT_GE(cache->used(), disk_usage(directory()));
}

TEST_F(CacheTest, ASizeThatIsNotKnownIsReservedInSteps) {
  OpenCache cache(directory());
  std::string bytes = make_bytes(4, 20u << 20);
  auto part = cache->open_part(Digest::of(bytes), 0).value();
  for (size_t at = 0; at < bytes.size(); at += 1u << 20)
    ASSERT_TRUE(part->append(std::string_view(bytes).substr(at, 1u << 20)).has_value());
  EXPECT_GE(cache->used(), bytes.size());
  ASSERT_TRUE(part->verify().has_value());
  ASSERT_TRUE(part->place().has_value());
  Commit one;
  one.blobs.push_back({Digest::of(bytes), bytes.size(), "", {}});
  one.links.push_back({kRepository, {Digest::of(bytes), bytes.size()}});
  ASSERT_TRUE(cache.commit(std::move(one)).has_value());
  EXPECT_EQ(cache.find(Digest::of(bytes)), bytes);
}

TEST_F(CacheTest, WhatIsLargerThanTheCacheIsRefusedAndEvictsNothing) {
  OpenCache cache(directory(), 8u << 20);
  ASSERT_TRUE(cache.store("small").has_value());
  auto part = cache->open_part(Digest::of("large"), 9u << 20);
  ASSERT_FALSE(part.has_value());
  EXPECT_EQ(part.error().code, Errc::disk_full);
  cache.settle();
  EXPECT_EQ(cache.find(Digest::of("small")), "small");
}

TEST_F(CacheTest, WhatWasAppendedBeforeARefusedStepStaysReadable) {
  OpenCache cache(directory(), 4u << 20);
  std::string bytes = make_bytes(5, 6u << 20);
  auto part = cache->open_part(Digest::of(bytes), 0).value();
  Status status;
  size_t at = 0;
  while (status && at < bytes.size()) {
    status = part->append(std::string_view(bytes).substr(at, 256u << 10));
    if (status) at += 256u << 10;
  }
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Errc::disk_full);
  EXPECT_GT(at, 2u << 20);
  EXPECT_EQ(part->size(), at);
  EXPECT_EQ(read_whole(part->file()), bytes.substr(0, at));
  EXPECT_LE(disk_usage(directory()), 4u << 20);
}

}  // namespace
}  // namespace entrepot::cache
