// Parts that an earlier fetch left, and parts that begin again.

#include <fcntl.h>
#include <unistd.h>

#include "cache/part.h"
#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

constexpr size_t kSize = 300'000;

class Resume : public CacheTest {
 protected:
  const std::string bytes_ = make_bytes(1, kSize);
  const Digest digest_ = Digest::of(bytes_);

  static Extents first(uint64_t end) {
    Extents extents;
    extents.add({0, end});
    return extents;
  }
  std::string_view slice(size_t begin, size_t end) const {
    return std::string_view(bytes_).substr(begin, end - begin);
  }
  void leave(OpenCache& cache, size_t end) {
    auto part = cache->open_part(digest_, 0).value();
    ASSERT_TRUE(part->append(slice(0, end)));
    part->leave();
  }
  /// Verifies, places and commits.
  void finish(OpenCache& cache, Part& part) {
    ASSERT_TRUE(part.verify());
    ASSERT_TRUE(part.place());
    Commit one;
    one.blobs.push_back({digest_, part.size(), "", {}});
    one.links.push_back({kRepository, {digest_, part.size()}});
    ASSERT_TRUE(cache.commit(std::move(one)));
    EXPECT_EQ(cache.find(digest_), bytes_);
  }
};

TEST_F(Resume, WhatWasLeftIsThereAtOnceForTheNext) {
  OpenCache cache(directory());
  leave(cache, 100'001);
  auto part = cache->open_part(digest_, kSize).value();
  EXPECT_EQ(part->found(), 100'001u);
  EXPECT_EQ(part->size(), 0u);
  while (part->size() < part->found()) ASSERT_TRUE(part->absorb(30'000));
  ASSERT_TRUE(part->append(slice(100'001, kSize)));
  finish(cache, *part);
}

TEST_F(Resume, WhatWasDroppedIsThereAfterTheWriterHasHeardOfIt) {
  OpenCache cache(directory());
  auto first = cache->open_part(digest_, kSize).value();
  ASSERT_TRUE(first->append(slice(0, 200'000)));
  first.reset();
  cache.settle();
  EXPECT_EQ(cache->open_part(digest_, kSize).value()->found(), 200'000u);
}

TEST_F(Resume, AnotherRunGoesOnBeforeTheLastBlock) {
  OpenCache cache(directory());
  for (size_t end : {size_t{4096}, size_t{100'001}, size_t{102'400}, size_t{299'999}}) {
    leave(cache, end);
    cache.reopen();
    auto part = cache->open_part(digest_, kSize).value();
    EXPECT_EQ(part->found(), (end - 1) / 4096 * 4096) << end;
    ASSERT_TRUE(part->absorb(kSize));
    ASSERT_TRUE(part->append(slice(part->size(), kSize)));
    EXPECT_TRUE(part->verify());
    part->discard();
  }
}

// What lies in one block with bytes of the blob looks like some.
TEST_F(Resume, AHoleWithinABlockIsNotAdoptedEither) {
  OpenCache cache(directory());
  for (bool is_left : {true, false}) {
    auto part = cache->open_part(digest_, kSize).value();
    ASSERT_TRUE(part->append(slice(0, 154'184)));
    ASSERT_TRUE(part->write_ahead(155'648, slice(155'648, 250'000)));
    if (is_left) part->leave();
    part.reset();
    cache.reopen();
    part = cache->open_part(digest_, kSize).value();
    EXPECT_LE(part->found(), 154'184u);
    EXPECT_GE(part->found(), 154'184u - 4096);
    ASSERT_TRUE(part->absorb(kSize));
    ASSERT_TRUE(part->append(slice(part->size(), kSize)));
    EXPECT_TRUE(part->verify());
    part->discard();
  }
}

TEST_F(Resume, ContentBehindAHoleIsNotAdopted) {
  OpenCache cache(directory());
  leave(cache, 40'960);
  cache.close();
  int fd = ::open(part_path(directory(), digest_).c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::pwrite(fd, bytes_.data() + 200'000, 50'000, 200'000), 50'000);
  ::close(fd);
  cache.reopen();
  auto part = cache->open_part(digest_, kSize).value();
  EXPECT_EQ(part->found(), 36'864u);
  ASSERT_TRUE(part->absorb(kSize));
  ASSERT_TRUE(part->append(slice(36'864, kSize)));
  finish(cache, *part);
}

TEST_F(Resume, DamageIsFoundAndTheNextReadingReplacesIt) {
  OpenCache cache(directory());
  leave(cache, 100'000);
  cache.close();
  std::string damaged(slice(0, 100'000));
  damaged[10] = static_cast<char>(damaged[10] ^ 1);
  write_whole(part_path(directory(), digest_), damaged);
  cache.reopen();
  auto part = cache->open_part(digest_, kSize).value();
  ASSERT_TRUE(part->absorb(kSize));
  ASSERT_TRUE(part->append(slice(part->size(), kSize)));
  EXPECT_EQ(part->verify().error().code, Errc::digest_mismatch);
  ASSERT_TRUE(part->rewind({}));
  ASSERT_TRUE(part->append(bytes_));
  finish(cache, *part);
}

TEST_F(Resume, WhatIsReadAgainIsComparedAndNotWritten) {
  OpenCache cache(directory());
  auto part = cache->open_part(digest_, kSize).value();
  ASSERT_TRUE(part->append(slice(0, 200'000)));
  ASSERT_TRUE(part->rewind(first(131'072)));
  EXPECT_EQ(part->size(), 0u);
  ASSERT_TRUE(part->append(slice(0, 100'000)));
  ASSERT_TRUE(part->append(slice(100'000, kSize)));
  finish(cache, *part);
}

TEST_F(Resume, WhatIsReadAgainAndDiffersIsAnErrorAndChangesNothing) {
  OpenCache cache(directory());
  auto part = cache->open_part(digest_, kSize).value();
  ASSERT_TRUE(part->append(slice(0, 200'000)));
  ASSERT_TRUE(part->rewind(first(131'072)));
  std::string other = bytes_;
  other[131'071] = static_cast<char>(other[131'071] ^ 1);
  EXPECT_EQ(part->append(other).error().code, Errc::digest_mismatch);
  EXPECT_EQ(read_whole(part->file()).substr(0, 200'000), bytes_.substr(0, 200'000));
}

TEST_F(Resume, WrongBytesThatNobodySawAreReplacedAndWhatWentTooFarIsCutOff) {
  OpenCache cache(directory());
  auto part = cache->open_part(digest_, kSize).value();
  ASSERT_TRUE(part->append(slice(0, 131'072)));
  ASSERT_TRUE(part->append(std::string(kSize, 'x')));
  EXPECT_EQ(part->verify().error().code, Errc::digest_mismatch);
  ASSERT_TRUE(part->rewind(first(131'072)));
  ASSERT_TRUE(part->append(bytes_));
  finish(cache, *part);
}

TEST_F(Resume, ABlobThatEndsBeforeWhatWasPublishedIsNotIt) {
  OpenCache cache(directory());
  auto part = cache->open_part(Digest::of("short"), 0).value();
  ASSERT_TRUE(part->append("short and more"));
  ASSERT_TRUE(part->rewind(first(14)));
  ASSERT_TRUE(part->append("short"));
  EXPECT_EQ(part->verify().error().code, Errc::digest_mismatch);
  part->discard();
}

TEST_F(Resume, ALeftPartIsEvictedLikeABlobAndNotWhileItIsOpen) {
  OpenCache cache(directory(), 8u << 20);
  std::string large = make_bytes(9, 3u << 20);
  Digest digest = Digest::of(large);
  {
    auto part = cache->open_part(digest, large.size()).value();
    ASSERT_TRUE(part->append(large.substr(0, 2u << 20)));
    part->leave();
  }
  auto open = cache->open_part(digest, large.size()).value();
  EXPECT_EQ(open->found(), 2u << 20);
  for (uint64_t i = 0; i < 8; ++i) ASSERT_TRUE(cache.store(make_bytes(20 + i, 1u << 20)));
  EXPECT_TRUE(std::filesystem::exists(part_path(directory(), digest)));
  open->leave();
  for (uint64_t i = 0; i < 12; ++i) ASSERT_TRUE(cache.store(make_bytes(40 + i, 1u << 20)));
  EXPECT_FALSE(std::filesystem::exists(part_path(directory(), digest)));
  EXPECT_EQ(cache->open_part(digest, 0).value()->found(), 0u);
}

TEST_F(Resume, APartThatAWholeRunHadNoUseForIsTheFirstToGo) {
  OpenCache cache(directory(), 8u << 20);
  leave(cache, kSize);
  cache.reopen();
  for (uint64_t i = 0; i < 6; ++i) ASSERT_TRUE(cache.store(make_bytes(60 + i, 1u << 20)));
  cache.reopen();
  // One blob more is too much, and it is the oldest blob's turn, or the part's.
  ASSERT_TRUE(cache.store(make_bytes(70, 1'200'000)));
  cache.settle();
  EXPECT_FALSE(std::filesystem::exists(part_path(directory(), digest_)));
}

TEST_F(Resume, WhatCameAheadOfItsTurnIsHashedInItsTurn) {
  OpenCache cache(directory());
  auto part = cache->open_part(digest_, kSize).value();
  ASSERT_TRUE(part->reserve(kSize));
  ASSERT_TRUE(part->write_ahead(200'000, slice(200'000, 250'000)));
  ASSERT_TRUE(part->write_ahead(100'000, slice(100'000, 150'000)));
  EXPECT_EQ(part->size(), 0u);
  ASSERT_TRUE(part->absorb(kSize)) << "nothing to do yet";
  ASSERT_TRUE(part->append(slice(0, 100'000)));
  ASSERT_TRUE(part->absorb(kSize));
  EXPECT_EQ(part->size(), 150'000u);
  ASSERT_TRUE(part->append(slice(150'000, 200'000)));
  ASSERT_TRUE(part->absorb(30'000));
  EXPECT_EQ(part->size(), 230'000u);
  ASSERT_TRUE(part->absorb(30'000));
  ASSERT_TRUE(part->append(slice(250'000, kSize)));
  finish(cache, *part);
}

TEST_F(Resume, OfWhatCameAheadOnlyThePublishedBytesAreKept) {
  OpenCache cache(directory());
  auto part = cache->open_part(digest_, kSize).value();
  std::string damaged(slice(100'000, 150'000));
  damaged[40'000] = static_cast<char>(damaged[40'000] ^ 1);
  ASSERT_TRUE(part->append(slice(0, 50'000)));
  ASSERT_TRUE(part->write_ahead(100'000, damaged));
  Extents published = first(20'000);
  published.add({100'000, 140'000});
  ASSERT_TRUE(part->rewind(published));
  ASSERT_TRUE(part->append(bytes_));
  finish(cache, *part);
}

TEST_F(Resume, PublishedBytesThatCameAheadAreCompared) {
  OpenCache cache(directory());
  auto part = cache->open_part(digest_, kSize).value();
  std::string damaged(slice(100'000, 150'000));
  damaged[40'000] = static_cast<char>(damaged[40'000] ^ 1);
  ASSERT_TRUE(part->write_ahead(100'000, damaged));
  Extents published;
  published.add({100'000, 150'000});
  ASSERT_TRUE(part->rewind(published));
  EXPECT_EQ(part->append(bytes_).error().code, Errc::digest_mismatch);
  EXPECT_EQ(read_whole(part->file()).substr(100'000, 50'000), damaged);
}

TEST_F(Resume, OfAPartThatIsLeftTheNextFindsTheBeginning) {
  OpenCache cache(directory());
  {
    auto part = cache->open_part(digest_, kSize).value();
    ASSERT_TRUE(part->append(slice(0, 50'000)));
    ASSERT_TRUE(part->write_ahead(100'000, slice(100'000, 150'000)));
    part->leave();
  }
  auto part = cache->open_part(digest_, kSize).value();
  EXPECT_EQ(part->found(), 50'000u);
  ASSERT_TRUE(part->absorb(kSize));
  ASSERT_TRUE(part->append(slice(50'000, kSize)));
  finish(cache, *part);
}

TEST_F(Resume, TheHashGoesOnElsewhere) {
  OpenCache cache(directory());
  auto part = cache->open_part(digest_, kSize).value();
  ASSERT_TRUE(part->append(slice(0, 200'000)));
  PartHash so_far = part->hash();
  EXPECT_EQ(so_far.size, 200'000u);
  Hasher hash = std::move(so_far.hash);
  ASSERT_TRUE(part->append(slice(200'000, kSize)));
  EXPECT_TRUE(part->verify());
  hash.update(slice(200'000, kSize));
  EXPECT_EQ(hash.finish(), digest_);
}

}  // namespace
}  // namespace entrepot::cache
