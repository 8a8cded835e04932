#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>

#include "base/loop/call_on.h"
#include "base/loop/loop_group.h"
#include "base/loop/poll_watch.h"
#include "base/loop/timer.h"

namespace entrepot {
namespace {

class Loops : public testing::Test {
 protected:
  void start(size_t count) {
    loops_ = std::make_unique<LoopGroup>(count, clock_, logger_, metrics_);
    loops_->start();
  }
  // Runs `job` on a loop and waits for it.
  void on(EventLoop& loop, EventLoop::Job job) {
    std::promise<void> done;
    loop.post([&done, job = std::move(job)]() mutable {
      job();
      done.set_value();
    });
    done.get_future().wait();
  }
  SystemClock clock_;
  Logger logger_{{LogLevel::error}};
  Metrics metrics_;
  std::unique_ptr<LoopGroup> loops_;
};

TEST_F(Loops, RunWhatIsPostedInOrderOnTheirOwnThread) {
  start(2);
  std::vector<int> order;
  for (int i = 0; i < 100; ++i)
    loops_->at(1).post([this, i, &order] {
      EXPECT_TRUE(loops_->at(1).is_current_thread());
      EXPECT_FALSE(loops_->at(0).is_current_thread());
      order.push_back(i);
    });
  on(loops_->at(1), [] {});
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_F(Loops, FreeMailThatCameTooLate) {
  auto token = std::make_shared<int>(0);
  start(1);
  loops_->stop();
  loops_->at(0).post([token] {});
  loops_.reset();
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(Loops, ATimerFiresOnceAndACancelledOneNever) {
  start(1);
  std::promise<void> fired;
  std::unique_ptr<Timer> first;
  std::unique_ptr<Timer> second;
  on(loops_->at(0), [&] {
    first = std::make_unique<Timer>(loops_->at(0), "first");
    second = std::make_unique<Timer>(loops_->at(0), "second");
    second->start(Duration(1), [] { ADD_FAILURE() << "it was cancelled"; });
    first->start(Duration(5), [&] { fired.set_value(); });
    second->cancel();
  });
  fired.get_future().wait();
  on(loops_->at(0), [&] {
    first.reset();
    second.reset();
  });
}

TEST_F(Loops, APollWatchMayBeDestroyedInItsOwnCallback) {
  start(1);
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  std::promise<int> seen;
  std::unique_ptr<PollWatch> watch;
  on(loops_->at(0), [&] {
    watch = std::make_unique<PollWatch>(loops_->at(0), "pair", ends[0], [&](int mask, bool) {
      watch.reset();
      seen.set_value(mask);
    });
    watch->want(PollWatch::kReadable);
  });
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  EXPECT_EQ(seen.get_future().get(), PollWatch::kReadable);
  on(loops_->at(0), [] {});
  close(ends[0]);
  close(ends[1]);
}

Task<int> doubled_at(EventLoop& loop, int value) {
  EXPECT_TRUE(loop.is_current_thread());
  co_return 2 * value;
}
Task<void> ask_all(LoopGroup& loops, EventLoop& here, int& sum) {
  for (size_t i = 0; i < 1000; ++i) {
    EventLoop& there = loops.at(i % loops.size());
    auto ask = [&there] { return doubled_at(there, 1); };
    int value = co_await call_on<int>(there, here, std::move(ask));
    EXPECT_TRUE(here.is_current_thread());
    sum += value;
  }
}
TEST_F(Loops, AFlowAsksOtherLoopsAndGoesOnOnItsOwn) {
  for (size_t count : {1u, 2u, 4u}) {
    start(count);
    std::vector<int> sums(count, 0);
    for (size_t i = 0; i < count; ++i)
      loops_->at(i).post([this, i, &sums] { loops_->at(i).spawn(ask_all(*loops_, loops_->at(i), sums[i])); });
    for (size_t i = 0; i < count; ++i) on(loops_->at(i), [] {});
    loops_->stop();  // waits for the flows
    for (int sum : sums) EXPECT_EQ(sum, 2000);
    loops_.reset();
  }
}

}  // namespace
}  // namespace entrepot
