#include "cache/scrub.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

// What the scrub told, from the writer's thread.
class Told {
 public:
  std::function<void(DamagedBlob)> listener() {
    return [this](DamagedBlob blob) {
      std::lock_guard lock(mutex_);
      blobs_.push_back(std::move(blob));
      changed_.notify_all();
    };
  }
  std::vector<DamagedBlob> wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(60), [&] { return blobs_.size() >= count; });
    return blobs_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<DamagedBlob> blobs_;
};

Digest digest_of(std::string_view bytes) { return Digest::of(bytes); }

TEST(Scrub, TellsOfWhatWasDamagedWhenItHasGone) {
  TemporaryDirectory directory;
  OpenCache cache(
      Options{.directory = directory.path().string(), .max_size = 256u << 20, .scrub_rate = 1u << 30});
  const std::string sound = make_bytes(1, 700'000);
  const std::string blob = make_bytes(2, 700'000);
  const std::string manifest = R"({"schemaVersion":2})";
  ASSERT_TRUE(cache.store(sound));
  ASSERT_TRUE(cache.store(blob));
  ASSERT_TRUE(cache.store_manifest(manifest));
  std::string wrong = blob;
  wrong.back() ^= 1;
  write_whole(blob_path(directory.path(), digest_of(blob)), wrong);
  std::filesystem::remove(blob_path(directory.path(), digest_of(manifest)));

  Told told;
  cache->start_scrub(told.listener(), cache.metrics());
  std::vector<DamagedBlob> damaged = told.wait_for(2);
  ASSERT_EQ(damaged.size(), 2U);
  for (const DamagedBlob& one : damaged) {
    EXPECT_EQ(one.is_manifest, one.digest == digest_of(manifest));
    EXPECT_EQ(one.holders, std::vector<Repository>{kRepository});
    EXPECT_FALSE(cache.find(one.digest)) << "it has gone";
    EXPECT_FALSE(std::filesystem::exists(blob_path(directory.path(), one.digest)));
  }
  EXPECT_EQ(cache.find(digest_of(sound)), sound);
  // What takes its place is left alone.
  ASSERT_TRUE(cache.store(blob));
  EXPECT_EQ(cache.find(digest_of(blob)), blob);
  cache.close();
  EXPECT_EQ(told.wait_for(2).size(), 2U);
}

TEST(Scrub, EndsInTheMiddleOfAFile) {
  TemporaryDirectory directory;
  OpenCache cache(Options{.directory = directory.path().string(), .max_size = 256u << 20, .scrub_rate = 1});
  ASSERT_TRUE(cache.store(make_bytes(1, 4u << 20)));
  Told told;
  cache->start_scrub(told.listener(), cache.metrics());
  cache.close();  // which waits for its thread: four million seconds, if that did not listen
}

TEST(Scrub, ADirectoryInABlobsPlaceMakesWay) {
  TemporaryDirectory directory;
  for (bool holds_something : {false, true}) {
    OpenCache cache(
        Options{.directory = directory.path().string(), .max_size = 256u << 20, .scrub_rate = 1u << 30});
    const std::string blob = make_bytes(holds_something ? 1 : 2, 5000);
    ASSERT_TRUE(cache.store(blob));
    const std::filesystem::path path = blob_path(directory.path(), digest_of(blob));
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    if (holds_something) write_whole(path / "somebody's", "x");
    Told told;
    cache->start_scrub(told.listener(), cache.metrics());
    EXPECT_EQ(told.wait_for(1).size(), 1U);
    ASSERT_TRUE(cache.store(blob));
    EXPECT_EQ(cache.find(digest_of(blob)), blob);
    const std::filesystem::path aside = path.string() + ".not-ours";
    EXPECT_EQ(std::filesystem::exists(aside / "somebody's"), holds_something) << "what is not ours is kept";
  }
}

}  // namespace
}  // namespace entrepot::cache
