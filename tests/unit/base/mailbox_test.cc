#include "base/mailbox.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace entrepot {
namespace {

TEST(Mailbox, KeepsTheOrderOfEachSenderAndLosesNothing) {
  constexpr int kSenders = 4;
  constexpr int kEach = 20'000;
  Mailbox<std::pair<int, int>> box;
  std::vector<std::thread> senders;
  for (int sender = 0; sender < kSenders; ++sender)
    senders.emplace_back([&box, sender] {
      for (int i = 0; i < kEach; ++i) box.post({sender, i});
    });
  std::vector<int> next(kSenders, 0);
  size_t received = 0;
  while (received < kSenders * kEach)
    received += box.drain([&next](std::pair<int, int>&& message) {
      EXPECT_EQ(message.second, next[static_cast<size_t>(message.first)]++);
    });
  for (std::thread& sender : senders) sender.join();
  EXPECT_TRUE(box.is_empty());
}

TEST(Mailbox, SaysWhenTheReaderMustBeWoken) {
  Mailbox<int> box;
  EXPECT_TRUE(box.post(1));
  EXPECT_FALSE(box.post(2));
  EXPECT_EQ(box.drain([](int&&) {}), 2u);
  EXPECT_TRUE(box.post(3));
}

TEST(Mailbox, FreesWhatNobodyTook) {
  auto token = std::make_shared<int>(1);
  {
    Mailbox<std::shared_ptr<int>> box;
    box.post(token);
  }
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace entrepot
