// Transfers that break, blobs that can't be stored, bytes that are wrong.

#include "readers.h"

namespace entrepot::testing_support {
namespace {

class Mending : public ReadersTest {
 protected:
  void expect_right(const std::vector<Got>& all, const std::string& bytes) {
    for (const Got& got : all) {
      ASSERT_FALSE(got.error) << got.error->message;
      EXPECT_TRUE(got.bytes == bytes);
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Loops, Mending, testing::Values(1, 2, 4));

TEST_P(Mending, ACutTransferGoesOnWhereItStopped) {
  std::string bytes = pattern(1'000'000);
  content_.add_blob("library/a", bytes);
  content_.cuts = 4;
  content_.cut_after = 600'000;
  expect_right(read_all(10, "library/a", Digest::of(bytes)), bytes);
  EXPECT_EQ(content_.blob_gets, 5);
  EXPECT_EQ(content_.bytes_given, bytes.size());
}

TEST_P(Mending, WhereRangesAreRefusedItIsReadAgainAndCompared) {
  std::string bytes = pattern(1'000'000);
  content_.add_blob("library/a", bytes);
  content_.refuses_ranges = true;
  content_.cuts = 2;
  content_.cut_after = 600'000;
  expect_right(read_all(10, "library/a", Digest::of(bytes)), bytes);
  EXPECT_EQ(content_.blob_gets, 3);
}

TEST_P(Mending, APartOfAnEarlierRunIsGoneOnWith) {
  std::string bytes = pattern(1'000'000);
  Digest digest = Digest::of(bytes);
  content_.add_blob("library/a", bytes);
  {
    auto part = cache_->open_part(digest, 0).value();
    ASSERT_TRUE(part->append(bytes.substr(0, 700'000)));
    part->leave();
  }
  restart_with(max_size_);
  expect_right(read_all(3, "library/a", digest), bytes);
  EXPECT_EQ(content_.bytes_given, bytes.size() - 699'999 / 4096 * 4096);
  wait_committed(digest);
}

TEST_P(Mending, APartThatNobodyMayGoOnWithStaysForWhoMay) {
  std::string bytes = pattern(1'000'000);
  Digest digest = Digest::of(bytes);
  {
    auto part = cache_->open_part(digest, 0).value();
    ASSERT_TRUE(part->append(bytes.substr(0, 700'000)));
    part->leave();
  }
  EXPECT_EQ(read_all(3, "library/a", digest)[0].error->code, Errc::blob_unknown);
  content_.add_blob("library/b", bytes);
  expect_right(read_all(1, "library/b", digest), bytes);
  EXPECT_EQ(content_.bytes_given, bytes.size() - 700'000);
}

TEST_P(Mending, ADamagedPartOfAnEarlierRunCostsOneRequestAtMost) {
  std::string bytes = pattern(1'000'000);
  Digest digest = Digest::of(bytes);
  content_.add_blob("library/a", bytes);
  {
    auto part = cache_->open_part(digest, 0).value();
    ASSERT_TRUE(part->append("x" + bytes.substr(1, 699'999)));
    part->leave();
  }
  restart_with(max_size_);
  Got got = read_all(1, "library/a", digest)[0];
  EXPECT_TRUE(got.error && got.bytes.size() < bytes.size());
  expect_right(read_all(3, "library/a", digest), bytes);
}

TEST_P(Mending, WhatIsLargerThanTheBudgetGoesPastTheCache) {
  restart_with(1u << 20);
  std::string bytes = pattern(3'000'000);
  content_.add_blob("library/a", bytes);
  std::vector<Got> all = read_all(10, "library/a", Digest::of(bytes));
  expect_right(all, bytes);
  for (const Got& got : all) EXPECT_EQ(got.outcome, pull::Outcome::bypass);
  EXPECT_EQ(state_of(Digest::of(bytes)), pull::ObjectState::absent);
  EXPECT_LE(cache_->used(), max_size_);
}

TEST_P(Mending, PastTheCacheACutIsMendedToo) {
  restart_with(1u << 20);
  std::string bytes = pattern(3'000'000);
  content_.add_blob("library/a", bytes);
  for (bool refused : {false, true}) {
    content_.refuses_ranges = refused;
    content_.cuts = 3;
    content_.cut_after = 2'000'000;
    expect_right(read_all(1, "library/a", Digest::of(bytes)), bytes);
  }
}

TEST_P(Mending, PastTheCacheWrongBytesNeverComplete) {
  restart_with(1u << 20);
  std::string right = pattern(3'000'000) + "x";
  std::string wrong = pattern(3'000'000) + "y";
  content_.add_wrong_blob("library/a", Digest::of(right), wrong);
  Got got = read_all(1, "library/a", Digest::of(right))[0];
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, Errc::digest_mismatch);
  EXPECT_LE(got.bytes.size() + pull::kHeldBackBlock, wrong.size());
}

TEST_P(Mending, AFillThatLosesItsRoomMidwayGoesOnPastTheCache) {
  restart_with(4u << 20);
  content_.hides_sizes = true;
  std::string bytes = pattern(9'000'000);
  content_.add_blob("library/a", bytes);
  expect_right(read_all(6, "library/a", Digest::of(bytes)), bytes);
  EXPECT_EQ(state_of(Digest::of(bytes)), pull::ObjectState::absent);
  content_.refuses_ranges = true;
  expect_right(read_all(2, "library/a", Digest::of(bytes)), bytes);
}

TEST_P(Mending, AHundredHeadsOfAColdBlobAreOne) {
  std::string bytes = pattern(1'000);
  content_.add_blob("library/a", bytes);
  content_.are_heads_held = true;
  std::vector<std::promise<uint64_t>> sizes(100);
  for (size_t i = 0; i < sizes.size(); ++i)
    spawn(i, [this, i, digest = Digest::of(bytes), &sizes] { return ask_size(puller(i), digest, sizes[i]); });
  settle();
  content_.are_heads_held = false;
  for (auto& size : sizes) EXPECT_EQ(size.get_future().get(), bytes.size());
  EXPECT_EQ(content_.blob_heads, 1);
}

}  // namespace
}  // namespace entrepot::testing_support
