#include "cache/ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "cache/file_use.h"

namespace entrepot::cache {
namespace {

TEST(Ledger, RefusesWhatDoesNotFitAndLeavesRoomForTheIndex) {
  Ledger ledger(10u << 20);
  EXPECT_LT(ledger.blob_limit(), ledger.max_size());
  EXPECT_TRUE(ledger.try_reserve(ledger.blob_limit()));
  EXPECT_FALSE(ledger.try_reserve(1));
  EXPECT_TRUE(ledger.try_reserve_overhead(ledger.max_size() - ledger.blob_limit()));
  EXPECT_FALSE(ledger.try_reserve_overhead(1));
  ledger.release(1);
  EXPECT_TRUE(ledger.try_reserve_overhead(1));
}

TEST(Ledger, ATinyBudgetHasNoRoomForBlobsAndDoesNotUnderflow) {
  Ledger ledger(1000);
  EXPECT_EQ(ledger.blob_limit(), 0u);
  EXPECT_FALSE(ledger.try_reserve(1));
  EXPECT_TRUE(ledger.try_reserve_overhead(1000));
}

TEST(Ledger, ReservationsThatWouldOverflowAreRefused) {
  Ledger ledger(10u << 20);
  ledger.charge(20u << 20);
  EXPECT_FALSE(ledger.try_reserve(1));
  EXPECT_FALSE(ledger.try_reserve(UINT64_MAX));
}

TEST(Ledger, ThreadsTogetherNeverExceedIt) {
  Ledger ledger(4u << 20);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&ledger] {
      for (int i = 0; i < 20'000; ++i) {
        if (!ledger.try_reserve(1u << 20)) continue;
        EXPECT_LE(ledger.used(), ledger.blob_limit());
        ledger.release(1u << 20);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ledger.used(), 0u);
}

// Somebody who looks all the while sees one of the two, and not both.
TEST(Ledger, WhatIsCountedAgainIsNeverCountedTwice) {
  constexpr uint64_t kSize = 1u << 20;
  auto ledger = std::make_shared<Ledger>(100u << 20);
  auto use = std::make_shared<FileUse>(ledger, std::make_shared<ClosingBox>());
  ledger->charge(kSize);
  use->own_written(kSize);
  std::atomic<bool> is_over{false};
  std::atomic<uint64_t> looks{0};
  uint64_t most = 0;
  std::thread watcher([&] {
    for (; !is_over; ++looks) most = std::max(most, ledger->used());
  });
  while (looks < 100'000) use->set_measured(kSize);
  is_over = true;
  watcher.join();
  EXPECT_EQ(most, kSize);
  use.reset();
  EXPECT_EQ(ledger->used(), 0u);
}

class FileUseTest : public testing::Test {
 protected:
  std::shared_ptr<Ledger> ledger_ = std::make_shared<Ledger>(100u << 20);
  std::shared_ptr<ClosingBox> closing_ = std::make_shared<ClosingBox>();
  OpenFiles open_files_{ledger_, closing_};
  const Digest digest_ = Digest::of("file");
};

TEST_F(FileUseTest, GivesBackWhatItOwnsWithTheLastDescriptor) {
  auto use = open_files_.make_use();
  ASSERT_TRUE(ledger_->try_reserve(5000));
  use->own_reserved(5000);
  SharedFd first = FileUse::share(UniqueFd(), use);
  SharedFd second = first;
  use.reset();
  first.reset();
  EXPECT_EQ(ledger_->used(), 5000u);
  EXPECT_EQ(ledger_->unwritten, 5000u);
  second.reset();
  EXPECT_EQ(ledger_->used(), 0u);
  EXPECT_EQ(ledger_->unwritten, 0u);
}

TEST_F(FileUseTest, ARemovedBlobThatIsOpenCountsUntilTheWriterHasClosedIt) {
  ledger_->charge(7000);
  SharedFd reader = FileUse::share(UniqueFd(), open_files_.use(digest_));
  open_files_.removed(digest_, 7000);
  EXPECT_EQ(ledger_->used(), 7000u);
  EXPECT_EQ(ledger_->lingering, 7000u);
  reader.reset();
  EXPECT_EQ(ledger_->used(), 7000u);
  closing_->close_all();
  EXPECT_EQ(ledger_->used(), 0u);
  EXPECT_EQ(ledger_->lingering, 0u);
}

TEST_F(FileUseTest, ARemovedBlobThatNobodyHasOpenIsGivenBackAtOnce) {
  ledger_->charge(7000);
  { SharedFd reader = FileUse::share(UniqueFd(), open_files_.use(digest_)); }
  open_files_.removed(digest_, 7000);
  EXPECT_EQ(ledger_->used(), 0u);
}

TEST_F(FileUseTest, ADescriptorThatOutlivesTheWriterStillGivesItsBytesBack) {
  ledger_->charge(7000);
  SharedFd reader = FileUse::share(UniqueFd(), open_files_.use(digest_));
  open_files_.removed(digest_, 7000);
  closing_->shut();
  reader.reset();
  EXPECT_EQ(ledger_->used(), 0u);
}

TEST_F(FileUseTest, ManyDigestsThatAreClosedAgainAreForgotten) {
  for (int i = 0; i < 5000; ++i) open_files_.use(Digest::of(std::to_string(i))).reset();
  ledger_->charge(1);
  open_files_.removed(digest_, 1);
  EXPECT_EQ(ledger_->used(), 0u);
}

}  // namespace
}  // namespace entrepot::cache
