#include "upstream/breaker.h"

#include <gtest/gtest.h>

namespace entrepot::upstream {
namespace {

using std::chrono::seconds;

class BreakerTest : public ::testing::Test {
 protected:
  // Sends one request, if it may go, and says what came of it.
  bool go(bool is_answered) {
    Breaker::Leave leave = breaker_.ask(now_);
    if (leave.may_go) breaker_.note(is_answered, leave, now_);
    return leave.may_go;
  }
  void fail_until_open() {
    for (int i = 0; i < Breaker::kFailures; ++i) EXPECT_TRUE(go(false));
  }

  Breaker breaker_{seconds(40)};
  MonotonicTime now_{seconds(1'000)};
};

TEST_F(BreakerTest, OpensAfterFailuresInARow) {
  for (int i = 1; i < Breaker::kFailures; ++i) go(false);
  EXPECT_TRUE(go(true));
  fail_until_open();
  EXPECT_FALSE(go(true));
  Breaker::Leave leave = breaker_.ask(now_ + Duration(300));
  EXPECT_EQ(leave.pause, Duration(700));
}

TEST_F(BreakerTest, OneProbeGoesAndTheOthersWaitForIt) {
  fail_until_open();
  now_ += seconds(1);
  Breaker::Leave probe = breaker_.ask(now_);
  EXPECT_TRUE(probe.may_go && probe.is_probe);
  EXPECT_FALSE(go(true));
  EXPECT_TRUE(breaker_.note(true, probe, now_));
  EXPECT_FALSE(breaker_.is_open());
  EXPECT_TRUE(go(true));
}

TEST_F(BreakerTest, TheTimeDoublesWithEachProbeThatFailsUpToThirtySeconds) {
  fail_until_open();
  for (int64_t expected : {1, 2, 4, 8, 16, 30, 30}) {
    EXPECT_FALSE(go(false));
    now_ += seconds(expected) - Duration(1);
    EXPECT_FALSE(go(false)) << expected;
    now_ += Duration(1);
    EXPECT_TRUE(go(false)) << expected;
  }
  now_ += seconds(30);
  EXPECT_TRUE(go(true));
  fail_until_open();
  now_ += seconds(1);
  EXPECT_TRUE(go(false)) << "it begins with a second again";
}

TEST_F(BreakerTest, ThoseThatWereOnTheirWayWhenItOpenedSayNothingNew) {
  std::vector<Breaker::Leave> under_way;
  for (int i = 0; i < 100; ++i) under_way.push_back(breaker_.ask(now_));
  int openings = 0;
  for (const Breaker::Leave& leave : under_way) openings += breaker_.note(false, leave, now_) ? 1 : 0;
  EXPECT_EQ(openings, 1);
  now_ += seconds(1);
  EXPECT_TRUE(breaker_.ask(now_).is_probe);
}

TEST_F(BreakerTest, AProbeThatNeverComesBackIsFollowedByAnother) {
  fail_until_open();
  now_ += seconds(1);
  EXPECT_TRUE(breaker_.ask(now_).is_probe);
  now_ += seconds(39);
  EXPECT_FALSE(breaker_.ask(now_).may_go);
  now_ += seconds(1);
  Breaker::Leave probe = breaker_.ask(now_);
  EXPECT_TRUE(probe.is_probe);
  breaker_.forgo(probe, now_);
  EXPECT_TRUE(breaker_.ask(now_).is_probe);
}

}  // namespace
}  // namespace entrepot::upstream
