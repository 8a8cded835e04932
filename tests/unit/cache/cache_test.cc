#include "cache/cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <chrono>
#include <future>
#include <thread>

#include "base/log.h"
#include "cache/index_update.h"
#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

TEST_F(CacheTest, ACommittedBlobIsFoundAndStillAfterAReopen) {
  OpenCache cache(directory());
  std::string bytes = make_bytes(1, 100'000);
  ASSERT_TRUE(cache.store(bytes).has_value());
  EXPECT_EQ(cache.find(Digest::of(bytes)), bytes);
  cache.reopen();
  EXPECT_EQ(cache.find(Digest::of(bytes)), bytes);
  EXPECT_TRUE(cache->contains(Digest::of(bytes)).value());
}

TEST_F(CacheTest, AnEmptyBlobIsABlob) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.store("").has_value());
  EXPECT_EQ(cache.find(Digest::of("")), "");
}

TEST_F(CacheTest, ASha512BlobIsFound) {
  OpenCache cache(directory());
  Digest digest = Digest::of(DigestAlgorithm::sha512, "long");
  ASSERT_TRUE(cache.place(digest, "long").has_value());
  Commit one;
  one.blobs.push_back({digest, 4, "", {}});
  one.links.push_back({kRepository, {digest, 4}});
  ASSERT_TRUE(cache.commit(std::move(one)).has_value());
  EXPECT_EQ(cache.find(digest), "long");
}

TEST_F(CacheTest, WhatWasNeverStoredIsNotFound) {
  OpenCache cache(directory());
  Digest digest = Digest::of("nothing");
  EXPECT_EQ(cache.find(digest), std::nullopt);
  EXPECT_FALSE(cache->contains(digest).value());
  EXPECT_FALSE(cache->find_manifest(kRepository, digest).value().has_value());
  EXPECT_FALSE(cache->find_tag(kRepository, "latest").value().has_value());
  EXPECT_FALSE(cache->find_link(kRepository, digest).value().has_value());
}

TEST_F(CacheTest, ABlobIsGivenOnlyToARepositoryThatHasALink) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.store("private").has_value());
  Digest digest = Digest::of("private");
  EXPECT_EQ(cache.find(digest, kOther), std::nullopt);
  Commit link;
  link.links.push_back({kOther, {digest, 7}});
  ASSERT_TRUE(cache.commit(std::move(link)).has_value());
  EXPECT_EQ(cache.find(digest, kOther), "private");
}

TEST_F(CacheTest, RepositoriesOfTheSameJoinedTextAreApart) {
  OpenCache cache(directory());
  Commit link;
  link.links.push_back({{"a", "b/c"}, {Digest::of("x"), 1}});
  ASSERT_TRUE(cache.commit(std::move(link)).has_value());
  EXPECT_TRUE(cache->find_link({"a", "b/c"}, Digest::of("x")).value().has_value());
  EXPECT_FALSE(cache->find_link({"a/b", "c"}, Digest::of("x")).value().has_value());
  EXPECT_FALSE(cache->find_link({"ab", "/c"}, Digest::of("x")).value().has_value());
}

TEST_F(CacheTest, AManifestComesBackWithItsBytesAndMediaTypeAndLinksItsChildren) {
  OpenCache cache(directory());
  Digest child = Digest::of("layer");
  ASSERT_TRUE(cache.store_manifest("{ }\n", {child}).has_value());
  cache.reopen();
  auto found = cache->find_manifest(kRepository, Digest::of("{ }\n"));
  ASSERT_TRUE(found.has_value() && found->has_value());
  EXPECT_EQ((*found)->bytes, "{ }\n");
  EXPECT_EQ((*found)->media_type, "application/vnd.oci.image.manifest.v1+json");
  auto link = cache->find_link(kRepository, child);
  ASSERT_TRUE(link.has_value() && link->has_value());
  EXPECT_EQ((*link)->size, 17u);
  EXPECT_FALSE(cache->find_manifest(kOther, Digest::of("{ }\n")).value().has_value());
}

TEST_F(CacheTest, ABlobThatIsNoManifestIsNotFoundAsOne) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.store("plain").has_value());
  EXPECT_FALSE(cache->find_manifest(kRepository, Digest::of("plain")).value().has_value());
}

TEST_F(CacheTest, ATagTellsItsDigestAndWhenItWasChecked) {
  OpenCache cache(directory());
  WallTime checked{std::chrono::milliseconds(1'700'000'000'123)};
  Commit first;
  first.tags.push_back({kRepository, "latest", Digest::of("one"), checked});
  ASSERT_TRUE(cache.commit(std::move(first)).has_value());
  Commit second;
  second.tags.push_back({kRepository, "latest", Digest::of("two"), checked + std::chrono::seconds(1)});
  ASSERT_TRUE(cache.commit(std::move(second)).has_value());
  cache.reopen();
  auto found = cache->find_tag(kRepository, "latest");
  ASSERT_TRUE(found.has_value() && found->has_value());
  EXPECT_EQ((*found)->digest, Digest::of("two"));
  EXPECT_EQ((*found)->checked_at, checked + std::chrono::seconds(1));
  EXPECT_FALSE(cache->find_tag(kOther, "latest").value().has_value());
}

TEST_F(CacheTest, ALinkWithoutASizeDoesNotForgetTheSizeThatIsKnown) {
  OpenCache cache(directory());
  Digest digest = Digest::of("x");
  for (uint64_t size : {uint64_t{5}, uint64_t{0}}) {
    Commit link;
    link.links.push_back({kRepository, {digest, size}});
    ASSERT_TRUE(cache.commit(std::move(link)).has_value());
  }
  EXPECT_EQ(cache->find_link(kRepository, digest).value()->size, 5u);
}

TEST_F(CacheTest, ACommitOfABlobThatWasNotPlacedFailsAlone) {
  OpenCache cache(directory());
  std::promise<Status> bad;
  Commit wrong;
  wrong.blobs.push_back({Digest::of("absent"), 6, "", {}});
  wrong.tags.push_back({kRepository, "wrong", Digest::of("absent"), {}});
  cache->commit(std::move(wrong), [&bad](Status status) { bad.set_value(std::move(status)); });
  Commit right;
  right.tags.push_back({kRepository, "right", Digest::of("present"), {}});
  ASSERT_TRUE(cache.commit(std::move(right)).has_value());
  EXPECT_FALSE(bad.get_future().get().has_value());
  EXPECT_FALSE(cache->find_tag(kRepository, "wrong").value().has_value());
  EXPECT_TRUE(cache->find_tag(kRepository, "right").value().has_value());
}

TEST_F(CacheTest, ACommitWithAnotherSizeThanWasPlacedIsRefusedAndTheFileIsGone) {
  OpenCache cache(directory());
  Digest digest = Digest::of("four");
  ASSERT_TRUE(cache.place(digest, "four").has_value());
  Commit wrong;
  wrong.blobs.push_back({digest, 5, "", {}});
  EXPECT_FALSE(cache.commit(std::move(wrong)).has_value());
  EXPECT_FALSE(std::filesystem::exists(blob_path(directory(), digest)));
  EXPECT_FALSE(std::filesystem::exists(part_path(directory(), digest)));
  ASSERT_TRUE(cache.store("four").has_value());
  EXPECT_EQ(cache.find(digest), "four");
}

TEST_F(CacheTest, CommitsFromManyThreadsAreAllKept) {
  OpenCache cache(directory());
  constexpr int kThreads = 4;
  constexpr int kEach = 25;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&cache, t] {
      for (int i = 0; i < kEach; ++i) {
        std::string bytes = "blob " + std::to_string(t * kEach + i);
        EXPECT_TRUE(cache.store(bytes).has_value());
        cache->touch(Digest::of(bytes));
        EXPECT_EQ(cache.find(Digest::of(bytes)), bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  cache.reopen();
  for (int i = 0; i < kThreads * kEach; ++i) {
    std::string bytes = "blob " + std::to_string(i);
    EXPECT_EQ(cache.find(Digest::of(bytes)), bytes);
  }
}

TEST_F(CacheTest, WhatIsCommittedWhenTheCacheClosesIsKept) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.place(Digest::of("late"), "late").has_value());
  Commit one;
  one.blobs.push_back({Digest::of("late"), 4, "", {}});
  one.links.push_back({kRepository, {Digest::of("late"), 4}});
  bool is_done = false;
  cache->commit(std::move(one), [&is_done](Status status) { is_done = status.has_value(); });
  cache.close();
  EXPECT_TRUE(is_done);
  cache.reopen();
  EXPECT_EQ(cache.find(Digest::of("late")), "late");
}

// As by a child of one that was killed a moment ago.
TEST_F(CacheTest, ALockThatIsAboutToGoIsWaitedFor) {
  { OpenCache made(directory()); }
  UniqueFd lock(::open((directory() / "LOCK").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  std::thread goes([&lock] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    lock.reset();
  });
  OpenCache cache(directory());
  goes.join();
  EXPECT_TRUE(cache.store("here"));
}

TEST_F(CacheTest, ASecondOpenIsRefusedWithAMessage) {
  OpenCache cache(directory());
  SystemClock clock;
  Logger logger({});
  Metrics metrics;
  auto second = Cache::open(Options{directory().string(), 1u << 30, 0, false}, clock, logger, metrics);
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().message.find("in use by another process"), std::string::npos)
      << second.error().message;
}

TEST_F(CacheTest, ANewerFormatIsRefusedWithAMessage) {
  { OpenCache cache(directory()); }
  write_whole(directory() / "FORMAT", "entrepot cache format 2\n");
  SystemClock clock;
  Logger logger({});
  Metrics metrics;
  auto opened = Cache::open(Options{directory().string(), 1u << 30, 0, false}, clock, logger, metrics);
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().message.find("format 2, newer than format 1"), std::string::npos)
      << opened.error().message;
}

TEST_F(CacheTest, AnIndexOfANewerFormatIsRefusedAndLeftAsItIs) {
  { OpenCache cache(directory()); }
  auto open_index = [this] {
    std::string path = (directory() / "index").string();
    return Index::open(UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), path);
  };
  {
    auto index = open_index().value();
    IndexUpdate update(index->write().value());
    ASSERT_TRUE(update.begin().has_value());
    update.state().format = 2;
    ASSERT_TRUE(update.commit().has_value());
  }
  for (int i = 0; i < 2; ++i) {
    auto opened = open_index();
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().message.find("newer than format 1"), std::string::npos)
        << opened.error().message;
  }
}

TEST_F(CacheTest, OnlyItsOwnerMayReadTheCache) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.store("mine").has_value());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory())) {
    struct stat status;
    ASSERT_EQ(::lstat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 077, 0u) << entry.path();
  }
}

}  // namespace
}  // namespace entrepot::cache
