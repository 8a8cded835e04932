// Bytes that are fetched beside a fill's main stream, for those who wait far ahead of it.

#include "readers.h"

namespace entrepot::testing_support {
namespace {

// Everything smaller than it is: the sanitizers take their time.
constexpr uint64_t kUnit = 256u << 10;
constexpr pull::StretchSizes kSmall{
    .soon = kUnit / 2, .longest = 8 * kUnit, .block = 64u << 10, .worth_skipping = kUnit};

class StretchesTest : public ReadersTest {
 protected:
  StretchesTest() : ReadersTest(kSmall) {}

  struct Asked {
    std::promise<Got> promise;
    std::future<Got> got = promise.get_future();
  };

  // As a Range is answered: from where it is readable.
  static Task<void> read_range(pull::Puller& puller, Digest digest, cache::Extent range,
                               std::shared_ptr<Asked> asked) {
    Got got;
    cache::Repository name = repository("library/a");
    Result<pull::OpenBlob> blob = co_await puller.blobs().open(name, digest);
    if (!blob || !blob->fill) {
      got.error = blob ? Error{Errc::internal, "a hit"} : blob.error();
      asked->promise.set_value(std::move(got));
      co_return;
    }
    pull::FillReader& reader = *blob->fill;
    uint64_t at = range.begin;
    while (at < range.end) {
      Result<pull::Readable> ready = co_await reader.wait_readable(at, range.end);
      if (!ready) {
        got.error = ready.error();
        break;
      }
      std::string piece(std::min(ready->end, range.end) - at, '\0');
      EXPECT_EQ(pread(reader.file()->get(), piece.data(), piece.size(), static_cast<off_t>(at)),
                static_cast<ssize_t>(piece.size()));
      got.bytes += piece;
      at += piece.size();
    }
    asked->promise.set_value(std::move(got));
  }
  std::shared_ptr<Asked> ask(size_t loop, const Digest& digest, cache::Extent range) {
    auto asked = std::make_shared<Asked>();
    spawn(loop,
          [this, loop, digest, range, asked] { return read_range(puller(loop), digest, range, asked); });
    return asked;
  }
  std::future<std::vector<Got>> read_whole(size_t clients, const Digest& digest) {
    return std::async(std::launch::async,
                      [this, clients, digest] { return read_all(clients, "library/a", digest); });
  }
  void expect_slice(Asked& asked, cache::Extent range) {
    Got got = asked.got.get();
    ASSERT_FALSE(got.error) << got.error->message;
    EXPECT_TRUE(got.bytes == bytes_.substr(range.begin, range.size()));
  }
  void SetUp() override { content_.add_blob("library/a", bytes_); }

  const std::string bytes_ = pattern(20 * kUnit);
  const Digest digest_ = Digest::of(bytes_);
};

INSTANTIATE_TEST_SUITE_P(Loops, StretchesTest, testing::Values(1, 2, 4));

TEST_P(StretchesTest, WhatIsFarAheadComesAtOnce) {
  content_.is_main_held = true;
  auto asked = ask(1, digest_, {15 * kUnit + 7, 16 * kUnit});
  expect_slice(*asked, {15 * kUnit + 7, 16 * kUnit});
  EXPECT_EQ(content_.ranges(), (std::vector<std::pair<uint64_t, uint64_t>>{{15 * kUnit, 16 * kUnit}}));
  auto others = read_whole(3, digest_);
  settle();
  content_.is_main_held = false;
  for (const Got& got : others.get()) EXPECT_TRUE(got.bytes == bytes_);
  wait_committed(digest_);
}

TEST_P(StretchesTest, TheMainStreamLeavesOutWhatIsThere) {
  content_.is_main_held = true;
  std::vector<std::shared_ptr<Asked>> asked;
  for (uint64_t i = 1; i < 10; ++i) asked.push_back(ask(i, digest_, {2 * i * kUnit, 2 * i * kUnit + kUnit}));
  for (uint64_t i = 1; i < 10; ++i) expect_slice(*asked[i - 1], {2 * i * kUnit, 2 * i * kUnit + kUnit});
  auto others = read_whole(2, digest_);
  settle();
  content_.is_main_held = false;
  for (const Got& got : others.get()) EXPECT_TRUE(got.bytes == bytes_);
  wait_committed(digest_);
  EXPECT_LE(content_.bytes_given, bytes_.size() + 10 * 100'000);
}

TEST_P(StretchesTest, ShortOnesAreReadOver) {
  content_.is_main_held = true;
  auto asked = ask(0, digest_, {10 * kUnit, 10 * kUnit + 1000});
  expect_slice(*asked, {10 * kUnit, 10 * kUnit + 1000});
  auto others = read_whole(2, digest_);
  settle();
  content_.is_main_held = false;
  for (const Got& got : others.get()) EXPECT_TRUE(got.bytes == bytes_);
  wait_committed(digest_);
  EXPECT_EQ(content_.blob_gets, 2);
}

TEST_P(StretchesTest, ManyAskForTheSameAndItIsFetchedOnce) {
  content_.is_main_held = true;
  std::vector<std::shared_ptr<Asked>> asked;
  for (size_t i = 0; i < 20; ++i) asked.push_back(ask(i, digest_, {9 * kUnit, 12 * kUnit}));
  for (auto& one : asked) expect_slice(*one, {9 * kUnit, 12 * kUnit});
  EXPECT_EQ(content_.ranges().size(), 1u);
  content_.is_main_held = false;
}

TEST_P(StretchesTest, TheLastBlockWaitsForTheDigest) {
  content_.is_main_held = true;
  auto asked = ask(0, digest_, {15 * kUnit, 20 * kUnit});
  // All but the last block has come when the range is there.
  auto before = ask(0, digest_, {15 * kUnit, 20 * kUnit - pull::kHeldBackBlock});
  expect_slice(*before, {15 * kUnit, 20 * kUnit - pull::kHeldBackBlock});
  settle();
  EXPECT_EQ(asked->got.wait_for(std::chrono::milliseconds(0)), std::future_status::timeout);
  content_.is_main_held = false;
  expect_slice(*asked, {15 * kUnit, 20 * kUnit});
  wait_committed(digest_);
}

TEST_P(StretchesTest, WhereRangesAreRefusedTheMainStreamBringsIt) {
  content_.is_main_held = true;
  content_.refuses_ranges = true;
  auto asked = ask(0, digest_, {15 * kUnit, 16 * kUnit});
  while (content_.ranges().empty()) std::this_thread::yield();
  content_.is_main_held = false;
  expect_slice(*asked, {15 * kUnit, 16 * kUnit});
  wait_committed(digest_);
}

TEST_P(StretchesTest, WhatFailsIsLeftToTheMainStream) {
  content_.is_main_held = true;
  content_.lacks_ranges = true;
  auto asked = ask(0, digest_, {15 * kUnit, 16 * kUnit});
  while (content_.ranges().empty()) std::this_thread::yield();
  content_.is_main_held = false;
  expect_slice(*asked, {15 * kUnit, 16 * kUnit});
  wait_committed(digest_);
}

TEST_P(StretchesTest, WhatBacksOffIsLeftToTheMainStreamWhenItComesBy) {
  content_.is_main_held = true;
  content_.busy_at = 12 * kUnit;
  auto refused = ask(0, digest_, {12 * kUnit, 13 * kUnit});
  while (content_.ranges().empty()) std::this_thread::yield();
  auto before = ask(0, digest_, {4 * kUnit, 6 * kUnit});
  expect_slice(*before, {4 * kUnit, 6 * kUnit});
  content_.is_main_held = false;
  expect_slice(*refused, {12 * kUnit, 13 * kUnit});
  wait_committed(digest_);
  EXPECT_EQ(content_.ranges(),
            (std::vector<std::pair<uint64_t, uint64_t>>{{12 * kUnit, 13 * kUnit}, {4 * kUnit, 6 * kUnit}}));
  EXPECT_EQ(content_.blob_gets, 4);
}

TEST_P(StretchesTest, ACutStretchIsResumed) {
  content_.is_main_held = true;
  content_.cuts = 1;
  content_.cut_after = 15 * kUnit + 200'000;
  auto asked = ask(0, digest_, {15 * kUnit, 16 * kUnit});
  expect_slice(*asked, {15 * kUnit, 16 * kUnit});
  EXPECT_EQ(content_.ranges(), (std::vector<std::pair<uint64_t, uint64_t>>{
                                   {15 * kUnit, 16 * kUnit}, {15 * kUnit + 200'000, 16 * kUnit}}));
  content_.is_main_held = false;
}

TEST_P(StretchesTest, AWrongByteInsideIsNobodysCompleteBlob) {
  content_.is_main_held = true;
  content_.flipped_in_ranges = 15 * kUnit + 5;
  auto inside = ask(0, digest_, {15 * kUnit, 16 * kUnit});
  EXPECT_FALSE(inside->got.get().error);
  auto others = read_whole(3, digest_);
  settle();
  content_.is_main_held = false;
  for (const Got& got : others.get()) {
    ASSERT_TRUE(got.error);
    EXPECT_LT(got.bytes.size(), bytes_.size());
  }
  EXPECT_EQ(state_of(digest_), pull::ObjectState::absent);
}

TEST_P(StretchesTest, AfterTheMainStreamsRangeWasRefusedAllIsComparedAndRight) {
  content_.is_main_held = true;
  auto asked = ask(0, digest_, {10 * kUnit, 12 * kUnit});
  expect_slice(*asked, {10 * kUnit, 12 * kUnit});
  auto others = read_whole(2, digest_);
  settle();
  content_.refuses_ranges = true;  // also to go on behind the stretch
  content_.is_main_held = false;
  for (const Got& got : others.get()) {
    ASSERT_FALSE(got.error) << got.error->message;
    EXPECT_TRUE(got.bytes == bytes_);
  }
  wait_committed(digest_);
}

TEST_P(StretchesTest, WhenEverybodyHasGoneAllOfItStops) {
  std::string large(70u << 20, 'x');
  Digest digest = Digest::of(large);
  content_.add_blob("library/a", large);
  content_.is_main_held = true;
  auto asked = ask(0, digest, {200 * kUnit, 201 * kUnit});
  EXPECT_FALSE(asked->got.get().error);
  while (state_of(digest) != pull::ObjectState::absent) std::this_thread::yield();
  content_.is_main_held = false;
}

}  // namespace
}  // namespace entrepot::testing_support
