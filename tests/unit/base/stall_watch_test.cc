#include <gtest/gtest.h>
#include <time.h>

#include <future>

#include "base/loop/loop_group.h"

namespace entrepot {
namespace {

class StallWatchTest : public testing::Test {
 protected:
  // What two loops' watches count after `job` has run on one.
  double stalls_after(EventLoop::Job job, const char* kind) {
    LoopGroup loops(1, clock_, logger_, metrics_);
    loops.start();
    std::promise<void> judged;
    loops.at(0).post([&] {
      job();
      loops.at(0).post(
          [&] { judged.set_value(); });  // runs after the next poll, when the first turn has been judged
    });
    judged.get_future().wait();
    return metrics_.counter("entrepot_loop_stalls_total", "", {{"loop", "0"}, {"kind", kind}}).value();
  }
  SystemClock clock_;
  Logger logger_{{LogLevel::error}};
  Metrics metrics_;
};

TEST_F(StallWatchTest, SeesACallbackThatUsesTheProcessorTooLong) {
  auto burn = [] {
    timespec now{};
    do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while (now.tv_sec == 0 && now.tv_nsec < 250'000'000);
  };
  EXPECT_EQ(stalls_after(burn, "cpu"), 1);
}

TEST_F(StallWatchTest, SeesACallbackThatSleeps) {
  auto sleep = [] {
    timespec moment{0, 250'000'000};
    nanosleep(&moment, nullptr);
  };
  EXPECT_EQ(stalls_after(sleep, "blocked"), 1);
}

TEST_F(StallWatchTest, IsSilentAboutAnHonestCallback) {
  EXPECT_EQ(stalls_after([] {}, "blocked"), 0);
  EXPECT_EQ(stalls_after([] {}, "cpu"), 0);
}

}  // namespace
}  // namespace entrepot
