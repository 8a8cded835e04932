#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "base/loop/loop_group.h"
#include "base/loop/timer.h"

namespace entrepot {
namespace {

// Stands still until a test moves it.
class StandingClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return MonotonicTime(std::chrono::hours(1) + passed_.load()); }
  WallTime wall() const override { return WallTime(); }
  void advance(Duration duration) { passed_ = passed_.load() + duration; }

 private:
  std::atomic<Duration> passed_{Duration::zero()};
};

class Timers : public testing::Test {
 protected:
  Timers() { loops_.start(); }
  // Runs `job` on the loop and waits until it, and the timers that were due then, have run.
  void on_loop(EventLoop::Job job) {
    loop_.post(std::move(job));
    turn();
    turn();
  }
  void turn() {
    std::promise<void> done;
    loop_.post([&done] { done.set_value(); });
    done.get_future().wait();
  }
  void advance(Duration duration) {
    clock_.advance(duration);
    on_loop([] {});
  }
  void start(size_t index, Duration delay) {
    while (timers_.size() <= index) timers_.push_back(std::make_unique<Timer>(loop_, "test"));
    timers_[index]->start(delay, [this, index] { fired_.push_back(index); });
  }
  void drop_timers() {
    on_loop([this] { timers_.clear(); });
  }

  StandingClock clock_;
  Logger logger_{{LogLevel::error}};
  Metrics metrics_;
  LoopGroup loops_{1, clock_, logger_, metrics_};
  EventLoop& loop_ = loops_.at(0);
  std::vector<std::unique_ptr<Timer>> timers_;
  std::vector<size_t> fired_;
};

using Fired = std::vector<size_t>;

TEST_F(Timers, FollowTheClockAndNotTheTimeThatPasses) {
  on_loop([&] { start(0, Duration(3'600'000)); });
  advance(Duration(3'599'999));
  EXPECT_EQ(fired_, Fired{});
  advance(Duration(1));
  EXPECT_EQ(fired_, Fired{0});
  advance(Duration(3'600'000));
  EXPECT_EQ(fired_, Fired{0});
  drop_timers();
}

TEST_F(Timers, FireInTheOrderOfTheirTimesAndThenOfTheirStarts) {
  on_loop([&] {
    start(0, Duration(30));
    start(1, Duration(10));
    start(2, Duration(20));
    start(3, Duration(10));
  });
  advance(Duration(100));
  EXPECT_EQ(fired_, (Fired{1, 3, 2, 0}));
  drop_timers();
}

TEST_F(Timers, StartReplacesWhatWasSetEarlierOrLater) {
  on_loop([&] {
    start(0, Duration(10));
    start(0, Duration(50));
    start(1, Duration(50));
    start(1, Duration(10));
  });
  advance(Duration(10));
  EXPECT_EQ(fired_, Fired{1});
  advance(Duration(39));
  EXPECT_EQ(fired_, Fired{1});
  advance(Duration(1));
  EXPECT_EQ(fired_, (Fired{1, 0}));
  drop_timers();
}

TEST_F(Timers, CancelledOrDestroyedTheyNeverFire) {
  bool is_set_before = false;
  bool is_set_after = true;
  on_loop([&] {
    for (size_t i = 0; i < 3; ++i) start(i, Duration(10));
    is_set_before = timers_[0]->is_set();
    timers_[0]->cancel();
    is_set_after = timers_[0]->is_set();
    timers_[1].reset();
  });
  EXPECT_TRUE(is_set_before);
  EXPECT_FALSE(is_set_after);
  advance(Duration(10));
  EXPECT_EQ(fired_, Fired{2});
  drop_timers();
}

TEST_F(Timers, MayBeDestroyedAndStartedAgainByWhatTheyFire) {
  int count = 0;
  std::unique_ptr<Timer> once;
  std::unique_ptr<Timer> again;
  on_loop([&] {
    once = std::make_unique<Timer>(loop_, "once");
    once->start(Duration(1), [&] { once.reset(); });
    again = std::make_unique<Timer>(loop_, "again");
    again->start(Duration(1), [&] {
      EXPECT_FALSE(again->is_set());
      again->start(Duration(1), [&] { ++count; });
    });
  });
  advance(Duration(1));
  EXPECT_EQ(once, nullptr);
  EXPECT_EQ(count, 0);
  advance(Duration(1));
  EXPECT_EQ(count, 1);
  on_loop([&] { again.reset(); });
}

TEST_F(Timers, OneThatIsStartedByAnotherWithoutDelayWaitsForTheNextTurn) {
  std::promise<int> seen;
  int order = 0;
  on_loop([&] {
    timers_.push_back(std::make_unique<Timer>(loop_, "first"));
    timers_.push_back(std::make_unique<Timer>(loop_, "second"));
    timers_[0]->start(Duration(0), [&] { timers_[0]->start(Duration(0), [&] { seen.set_value(++order); }); });
    timers_[1]->start(Duration(0), [&] { ++order; });
  });
  EXPECT_EQ(seen.get_future().get(), 2);
  drop_timers();
}

// As a connection does with its deadline: moved with every byte, and hardly ever reached.
TEST_F(Timers, ThousandsThatAreMovedAtRandomFireWhenTheyAreDueAndNotBefore) {
  constexpr size_t kCount = 2000;
  std::mt19937 random(7);
  std::vector<std::optional<MonotonicTime>> due(kCount);
  size_t fired = 0;
  auto change = [&] {
    for (size_t i = 0; i < kCount; ++i) {
      if (timers_.size() <= i) timers_.push_back(std::make_unique<Timer>(loop_, "deadline"));
      if (random() % 4 == 0) {
        timers_[i]->cancel();
        due[i].reset();
      } else if (random() % 2 == 0) {
        Duration delay(random() % 100);
        due[i] = clock_.monotonic() + delay;
        timers_[i]->start(delay, [&, i] {
          EXPECT_TRUE(due[i] && *due[i] <= clock_.monotonic());
          due[i].reset();
          ++fired;
        });
      }
    }
  };
  auto is_overdue = [&](const std::optional<MonotonicTime>& at) { return at && *at <= clock_.monotonic(); };
  for (int round = 0; round < 200; ++round) {
    on_loop(change);
    advance(Duration(random() % 20));
    ASSERT_EQ(std::ranges::count_if(due, is_overdue), 0);
  }
  EXPECT_GT(fired, kCount);
  drop_timers();
}

class RealTimers : public testing::Test {
 protected:
  SystemClock clock_;
  Logger logger_{{LogLevel::error}};
  Metrics metrics_;
};

TEST_F(RealTimers, FireByThemselvesAndNeverEarly) {
  LoopGroup loops(1, clock_, logger_, metrics_);
  loops.start();
  std::vector<std::unique_ptr<Timer>> timers;
  std::atomic<int> left{50};
  std::promise<void> all;
  loops.at(0).post([&] {
    for (int i = 0; i < 50; ++i) {
      timers.push_back(std::make_unique<Timer>(loops.at(0), "test"));
      Duration delay(i % 7);
      MonotonicTime due = clock_.monotonic() + delay;
      timers.back()->start(delay, [&, due] {
        EXPECT_GE(clock_.monotonic(), due);
        if (--left == 0) all.set_value();
      });
    }
  });
  all.get_future().wait();
  std::promise<void> dropped;
  loops.at(0).post([&] {
    timers.clear();
    dropped.set_value();
  });
  dropped.get_future().wait();
}

}  // namespace
}  // namespace entrepot
