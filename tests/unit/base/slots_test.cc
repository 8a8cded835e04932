#include "base/loop/slots.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/loop/sleep.h"

namespace entrepot {
namespace {

class SlotsTest : public testing::Test {
 protected:
  // Takes one, keeps it for `held`, and notes when it had it.
  Task<void> visit(int who, Duration patience, Duration held) {
    Slots::Slot slot = co_await slots_.take(patience);
    came_.push_back(slot ? who : -who);
    if (slot) {
      most_ = std::max(most_, ++inside_);
      co_await sleep_on(loop_, held);
      --inside_;
    }
    slot.release();
    if (--running_ == 0) loop_.stop();
  }
  void start(int who, Duration patience, Duration held) {
    ++running_;
    loop_.post([=, this] { loop_.spawn(visit(who, patience, held)); });
  }

  SystemClock clock_;
  Logger logger_{Logger::Options{LogLevel::error, LogFormat::text, 2}};
  Metrics metrics_;
  EventLoop loop_{0, clock_, logger_, metrics_};
  Slots slots_{loop_, 2};
  std::vector<int> came_;
  int running_ = 0;
  int inside_ = 0;
  int most_ = 0;
};

TEST_F(SlotsTest, WhoComesLaterWaitsInOrder) {
  for (int who = 1; who <= 6; ++who) start(who, Duration(60'000), Duration(2));
  loop_.run();
  EXPECT_EQ(came_, (std::vector<int>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(most_, 2);
}

TEST_F(SlotsTest, WhoHasWaitedForTooLongGetsNone) {
  start(1, Duration(60'000), Duration(200));
  start(2, Duration(60'000), Duration(200));
  start(3, Duration(5), Duration(1));
  start(4, Duration(60'000), Duration(1));
  loop_.run();
  EXPECT_EQ(came_, (std::vector<int>{1, 2, -3, 4}));
}

}  // namespace
}  // namespace entrepot
