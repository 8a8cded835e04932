// Files that are missing, truncated, changed or replaced behind the cache's back.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <thread>

#include "cache/index.h"
#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

class DamageTest : public CacheTest {
 protected:
  static std::string bytes(uint64_t number) { return make_bytes(number, 5000 + number); }

  /// Ten blobs, a manifest, a tag and a pin; then closed.
  void fill() {
    OpenCache cache(directory());
    for (uint64_t i = 0; i < 10; ++i) ASSERT_TRUE(cache.store(bytes(i)).has_value());
    ASSERT_TRUE(cache.store_manifest("{\"a\":1}", {Digest::of(bytes(0))}).has_value());
    Commit facts;
    facts.tags.push_back(
        {kRepository, "latest", Digest::of("{\"a\":1}"), WallTime(std::chrono::seconds(1000))});
    facts.pins.push_back(Digest::of(bytes(3)));
    ASSERT_TRUE(cache.commit(std::move(facts)).has_value());
  }

  /// One of the blobs has the right size still. Which.
  Digest fill_damage_and_lose_index() {
    fill();
    std::string damaged = bytes(4);
    damaged.back() ^= 1;
    write_whole(blob_path(directory(), Digest::of(bytes(4))), damaged);
    std::filesystem::remove_all(directory() / "index");
    return Digest::of(bytes(4));
  }

  void expect_everything() {
    OpenCache cache(directory());
    for (uint64_t i = 0; i < 10; ++i) EXPECT_EQ(cache.find(Digest::of(bytes(i))), bytes(i)) << i;
    auto manifest = cache->find_manifest(kRepository, Digest::of("{\"a\":1}"));
    ASSERT_TRUE(manifest.has_value() && manifest->has_value());
    EXPECT_EQ((*manifest)->media_type, "application/vnd.oci.image.manifest.v1+json");
    auto tag = cache->find_tag(kRepository, "latest");
    ASSERT_TRUE(tag.has_value() && tag->has_value());
    EXPECT_EQ((*tag)->digest, Digest::of("{\"a\":1}"));
    EXPECT_EQ((*tag)->checked_at, WallTime(std::chrono::seconds(1000)));
    EXPECT_GE(cache->used(), disk_usage(directory()));
    ASSERT_TRUE(cache.store("afterwards").has_value());
    EXPECT_EQ(cache.find(Digest::of("afterwards")), "afterwards");
  }

  std::filesystem::path index_file() const { return directory() / "index" / "data.mdb"; }
};

TEST_F(DamageTest, ALostIndexIsRebuiltFromBlobsAndRefsLog) {
  fill();
  std::filesystem::remove_all(directory() / "index");
  expect_everything();
}

TEST_F(DamageTest, ATruncatedIndexIsRebuiltWhateverIsLeftOfIt) {
  fill();
  auto size = static_cast<off_t>(std::filesystem::file_size(index_file()));
  std::string whole = read_whole(index_file());
  for (off_t left : {off_t{0}, off_t{1}, off_t{4095}, off_t{4096}, off_t{8192}, size / 2, size - 1}) {
    write_whole(index_file(), whole);
    ASSERT_EQ(::truncate(index_file().c_str(), left), 0);
    SCOPED_TRACE(left);
    expect_everything();
  }
}

TEST_F(DamageTest, AnIndexOfGarbageIsRebuilt) {
  fill();
  write_whole(index_file(), make_bytes(77, 100'000));
  expect_everything();
  std::string whole = read_whole(index_file());
  whole.replace(16, 4, "oops");
  write_whole(index_file(), whole);
  expect_everything();
}

TEST_F(DamageTest, AnIndexThatIsALinkToElsewhereIsNotFollowed) {
  fill();
  std::filesystem::path elsewhere = directory() / "elsewhere";
  write_whole(elsewhere, "not an index");
  std::filesystem::remove(index_file());
  std::filesystem::create_symlink(elsewhere, index_file());
  expect_everything();
  EXPECT_EQ(read_whole(elsewhere), "not an index");
}

TEST_F(DamageTest, ABlobThatDoesNotHashToItsNameIsInNoNewIndexForLongAndForeignFilesAreLeftAlone) {
  fill();
  Digest wrong = Digest::of(bytes(4));
  write_whole(blob_path(directory(), wrong), bytes(5));
  write_whole(directory() / "blobs" / "sha256" / "README", "mine");
  std::filesystem::path fifo = blob_path(directory(), wrong).parent_path() / std::string(64, 'f');
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  std::filesystem::remove_all(directory() / "index");
  OpenCache cache(directory());
  EXPECT_TRUE(std::filesystem::exists(blob_path(directory(), wrong))) << "nobody has looked yet";
  EXPECT_EQ(cache.find(wrong), std::nullopt);
  // A commit is told of before the files go that its transaction has doomed; and they go before the next one.
  for (int i = 0; i < 2; ++i) cache.settle();
  EXPECT_FALSE(std::filesystem::exists(blob_path(directory(), wrong)));
  EXPECT_EQ(cache.find(Digest::of(bytes(5))), bytes(5));
  EXPECT_TRUE(std::filesystem::exists(directory() / "blobs" / "sha256" / "README"));
}

// Of the same size, so that nothing but a hash can tell; whoever has stopped and started in between, and in
// whatever way.
TEST_F(DamageTest, WhatARebuildHasFoundIsDoubtedUntilItHasBeenHashed) {
  Digest wrong = fill_damage_and_lose_index();
  OpenCache cache(directory());
  for (int i = 0; i < 2; ++i) cache.reopen();
  EXPECT_EQ(cache.find(wrong), std::nullopt);
  EXPECT_EQ(cache.find(Digest::of(bytes(3))), bytes(3));
}

TEST_F(DamageTest, AScrubEndsTheDoubtsOfARebuild) {
  Digest wrong = fill_damage_and_lose_index();
  auto has_doubts = [this] {
    std::unique_ptr<Index> index =
        Index::open(UniqueFd(::open((directory() / "index").c_str(), O_RDONLY | O_DIRECTORY)),
                    (directory() / "index").string())
            .value();
    return index->read().value().txn().get(Table::meta, kRebuiltKey).value().has_value();
  };
  { OpenCache cache(directory()); }
  EXPECT_TRUE(has_doubts());
  {
    OpenCache cache(
        Options{.directory = directory().string(), .max_size = 256u << 20, .scrub_rate = 1u << 30});
    std::promise<Digest> gone;
    cache->start_scrub([&gone](const DamagedBlob& blob) { gone.set_value(blob.digest); }, cache.metrics());
    EXPECT_EQ(gone.get_future().get(), wrong);
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!cache.metrics().render().contains("entrepot_scrub_passes_total 1") &&
           std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(has_doubts());
}

TEST_F(DamageTest, APinOutlivesTheIndex) {
  fill();
  std::filesystem::remove_all(directory() / "index");
  OpenCache cache(directory(), 8u << 20);
  for (uint64_t i = 0; i < 20; ++i) ASSERT_TRUE(cache.store(make_bytes(100 + i, 1u << 20)).has_value());
  for (int i = 0; i < 3; ++i) cache.settle();
  EXPECT_TRUE(cache->contains(Digest::of(bytes(3))).value());
  EXPECT_FALSE(cache->contains(Digest::of(bytes(2))).value());
}

TEST_F(DamageTest, ALostRefsLogIsWrittenAnewFromTheIndex) {
  fill();
  std::filesystem::remove(directory() / "refs.log");
  expect_everything();
  std::filesystem::remove_all(directory() / "index");
  expect_everything();
}

TEST_F(DamageTest, ATornTailOfRefsLogDoesNoHarm) {
  fill();
  std::filesystem::path log = directory() / "refs.log";
  std::string whole = read_whole(log);
  write_whole(log, whole + std::string("\0\0\0\x40torn", 8));
  expect_everything();
  write_whole(log, read_whole(log) + "torn again");
  std::filesystem::remove_all(directory() / "index");
  expect_everything();
}

TEST_F(DamageTest, ATruncatedRefsLogIsWrittenAnewFromTheIndex) {
  fill();
  std::filesystem::resize_file(directory() / "refs.log", 30);
  expect_everything();
  std::filesystem::remove_all(directory() / "index");
  expect_everything();
}

TEST_F(DamageTest, AMissingFileIsAMissAndItsRowIsDropped) {
  OpenCache cache(directory());
  std::string large = make_bytes(1, 1u << 20);
  ASSERT_TRUE(cache.store(large).has_value());
  Digest digest = Digest::of(large);
  uint64_t before = cache->used();
  EXPECT_TRUE(cache->contains(digest).value());
  std::filesystem::remove(blob_path(directory(), digest));
  EXPECT_FALSE(cache->contains(digest).value());
  EXPECT_EQ(cache.find(digest), std::nullopt);
  for (int i = 0; i < 2; ++i) cache.settle();
  EXPECT_FALSE(cache->contains(digest).value());
  EXPECT_LT(cache->used(), before - (1u << 19));
  ASSERT_TRUE(cache.store(large).has_value());
  EXPECT_EQ(cache.find(digest), large);
}

TEST_F(DamageTest, AFileOfAnotherSizeIsAMissAndIsRemoved) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.store("twelve bytes").has_value());
  Digest digest = Digest::of("twelve bytes");
  write_whole(blob_path(directory(), digest), "");
  EXPECT_EQ(cache.find(digest), std::nullopt);
  for (int i = 0; i < 2; ++i) cache.settle();
  EXPECT_FALSE(cache->contains(digest).value());
  EXPECT_FALSE(std::filesystem::exists(blob_path(directory(), digest)));
}

TEST_F(DamageTest, ASymbolicLinkOrAFifoInABlobsPlaceIsAMiss) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.store("linked").has_value());
  std::filesystem::path path = blob_path(directory(), Digest::of("linked"));
  write_whole(directory() / "other", "secret");
  std::filesystem::remove(path);
  std::filesystem::create_symlink(directory() / "other", path);
  EXPECT_EQ(cache.find(Digest::of("linked")), std::nullopt);
  for (int i = 0; i < 2; ++i) cache.settle();
  EXPECT_TRUE(std::filesystem::exists(directory() / "other"));

  ASSERT_TRUE(cache.store("piped").has_value());
  path = blob_path(directory(), Digest::of("piped"));
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(cache.find(Digest::of("piped")), std::nullopt);
}

TEST_F(DamageTest, AManifestWithAFlippedBitIsAMissAndIsDropped) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.store_manifest("{\"a\":1}").has_value());
  Digest digest = Digest::of("{\"a\":1}");
  write_whole(blob_path(directory(), digest), "{\"a\":2}");
  EXPECT_FALSE(cache->find_manifest(kRepository, digest).value().has_value());
  for (int i = 0; i < 2; ++i) cache.settle();
  EXPECT_FALSE(cache->contains(digest).value());
  ASSERT_TRUE(cache.store_manifest("{\"a\":1}").has_value());
  EXPECT_TRUE(cache->find_manifest(kRepository, digest).value().has_value());
}

TEST_F(DamageTest, AFillOfABlobThatIsThereReplacesItsFile) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.store("again").has_value());
  Digest digest = Digest::of("again");
  FoundBlob old = *cache->find_blob(kRepository, digest).value();
  ASSERT_TRUE(cache.store("again").has_value());
  EXPECT_EQ(cache.find(digest), "again");
  EXPECT_EQ(read_whole(old.file), "again");
  old.file.reset();
  for (int i = 0; i < 2; ++i) cache.settle();
  EXPECT_GE(cache->used(), disk_usage(directory()));
  cache.reopen();
  EXPECT_EQ(cache.find(digest), "again");
}

}  // namespace
}  // namespace entrepot::cache
