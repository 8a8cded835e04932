// The disk refuses writes. RLIMIT_FSIZE stands for it: writes beyond it fail with EFBIG, everything else goes
// on.

#include <sys/resource.h>

#include <csignal>

#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

class FileSizeLimit {
 public:
  explicit FileSizeLimit(uint64_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};

class FaultTest : public CacheTest {
 protected:
  static Commit tag(int number) {
    Commit commit;
    commit.tags.push_back(
        {kRepository, "tag-" + std::to_string(number), Digest::of(std::to_string(number)), {}});
    return commit;
  }
  static bool has_tag(OpenCache& cache, int number) {
    return cache->find_tag(kRepository, "tag-" + std::to_string(number)).value().has_value();
  }
};

TEST_F(FaultTest, WhenTheIndexCannotGrowNothingIsAcknowledgedAndReadingGoesOn) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.store("kept").has_value());
  int number = 0;
  {
    FileSizeLimit limit(std::filesystem::file_size(directory() / "index" / "data.mdb"));
    Status status;
    for (; status && number < 10'000; ++number) {
      Commit many;
      for (int i = 0; i < 200; ++i) many.tags.push_back(tag(number * 200 + i).tags[0]);
      status = cache.commit(std::move(many));
    }
    ASSERT_FALSE(status.has_value());
    EXPECT_FALSE(has_tag(cache, number * 200 - 1));
    EXPECT_EQ(cache.find(Digest::of("kept")), "kept");
  }
  ASSERT_TRUE(cache.commit(tag(-1)).has_value());
  EXPECT_TRUE(has_tag(cache, -1));
  cache.reopen();
  EXPECT_TRUE(has_tag(cache, -1));
  EXPECT_FALSE(has_tag(cache, number * 200 - 1));
  EXPECT_EQ(cache.find(Digest::of("kept")), "kept");
}

TEST_F(FaultTest, WhenRefsLogCannotBeWrittenNothingIsAcknowledgedAndItIsRewrittenLater) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.store("kept").has_value());
  ASSERT_TRUE(cache.commit(tag(1)).has_value());
  {
    FileSizeLimit limit(std::filesystem::file_size(directory() / "refs.log") + 10);
    EXPECT_FALSE(cache.commit(tag(2)).has_value());
    EXPECT_FALSE(cache.commit(tag(3)).has_value());
    EXPECT_TRUE(has_tag(cache, 1));
    EXPECT_FALSE(has_tag(cache, 2));
  }
  ASSERT_TRUE(cache.commit(tag(4)).has_value());
  cache.close();
  std::filesystem::remove_all(directory() / "index");
  cache.reopen();
  EXPECT_TRUE(has_tag(cache, 1));
  EXPECT_TRUE(has_tag(cache, 4));
  EXPECT_EQ(cache.find(Digest::of("kept")), "kept");
}

TEST_F(FaultTest, APartThatCannotBeWrittenKeepsWhatWasAppended) {
  OpenCache cache(directory());
  Digest digest = Digest::of("never");
  auto part = cache->open_part(digest, 100'000).value();
  ASSERT_TRUE(part->append(make_bytes(1, 50'000)).has_value());
  {
    FileSizeLimit limit(60'000);
    EXPECT_FALSE(part->append(make_bytes(2, 50'000)).has_value());
  }
  EXPECT_EQ(part->size(), 50'000u);
  EXPECT_EQ(read_whole(part->file()).substr(0, 50'000), make_bytes(1, 50'000));
}

TEST_F(FaultTest, ABlobThatReplacedAGoodOneStaysWhenItsCommitFails) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.store("b").has_value());
  Digest digest = Digest::of("b");
  {
    FileSizeLimit limit(std::filesystem::file_size(directory() / "refs.log"));
    ASSERT_TRUE(cache.place(digest, "b").has_value());
    Commit again;
    again.blobs.push_back({digest, 1, "", {}});
    again.tags.push_back({kRepository, "new", digest, {}});
    EXPECT_FALSE(cache.commit(std::move(again)).has_value());
  }
  EXPECT_TRUE(std::filesystem::exists(blob_path(directory(), digest)));
  EXPECT_EQ(cache.find(digest), "b");
  EXPECT_TRUE(cache->is_acknowledged(digest).value());
}

TEST_F(FaultTest, ABlobWhoseCommitFailedIsTakenAwayAndCanBeStoredLater) {
  OpenCache cache(directory());
  ASSERT_TRUE(cache.commit(tag(1)).has_value());
  Digest digest = Digest::of("b");
  uint64_t before = cache->used();
  {
    FileSizeLimit limit(std::filesystem::file_size(directory() / "refs.log"));
    EXPECT_FALSE(cache.store("b").has_value());
    EXPECT_EQ(cache.find(digest), std::nullopt);
  }
  EXPECT_FALSE(std::filesystem::exists(blob_path(directory(), digest)));
  EXPECT_FALSE(std::filesystem::exists(part_path(directory(), digest)));
  ASSERT_TRUE(cache.store("b").has_value());
  EXPECT_EQ(cache.find(digest), "b");
  EXPECT_LT(cache->used(), before + (1u << 20));
}

}  // namespace
}  // namespace entrepot::cache
