#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "base/disk/disk_pool.h"
#include "base/disk/disk_strand.h"
#include "base/disk/run_on_disk.h"
#include "base/loop/loop_group.h"

namespace entrepot {
namespace {

class Disk : public testing::Test {
 protected:
  SystemClock clock_;
  Logger logger_{{LogLevel::error}};
  Metrics metrics_;
};

TEST_F(Disk, APoolRunsEverythingBeforeItGoes) {
  std::atomic<int> count{0};
  {
    ThreadedDiskPool pool(4, logger_, metrics_);
    for (int i = 0; i < 10'000; ++i) pool.submit("count", [&count] { ++count; });
  }
  EXPECT_EQ(count, 10'000);
}

TEST_F(Disk, AStrandKeepsItsOrderWhileOthersRunBeside) {
  std::vector<std::vector<int>> orders(8);
  {
    ThreadedDiskPool pool(4, logger_, metrics_);
    std::vector<DiskStrand> strands;
    for (size_t i = 0; i < orders.size(); ++i) strands.emplace_back(pool);
    for (int i = 0; i < 2000; ++i)
      for (size_t s = 0; s < strands.size(); ++s)
        strands[s].submit("note", [&orders, s, i] { orders[s].push_back(i); });
  }
  for (const std::vector<int>& order : orders) {
    ASSERT_EQ(order.size(), 2000u);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  }
}

// Tells which thread destroys it.
struct Late {
  explicit Late(std::promise<std::thread::id>& to) : told(&to) {}
  Late(Late&& other) noexcept : told(std::exchange(other.told, nullptr)) {}
  ~Late() {
    if (told != nullptr) told->set_value(std::this_thread::get_id());
  }
  std::promise<std::thread::id>* told;
};

struct LateJob {
  std::promise<void> end;
  std::promise<std::thread::id> destroyed;
  std::promise<Errc> answered;
};

Task<void> wait_a_moment(EventLoop& loop, DiskPool& pool, LateJob& job) {
  auto work = [&job]() -> Result<Late> {
    job.end.get_future().wait();
    return Late(job.destroyed);
  };
  DiskPatience patience = Duration(1);
  Result<Late> late = co_await run_on_disk_within(patience, pool, loop, "late", std::move(work));
  job.answered.set_value(late ? Errc::internal : late.error().code);
}

// What comes too late is destroyed in the pool, not on the loop.
TEST_F(Disk, WhoeverCanDoWithoutTheDiskWaitsForItOnlySoLong) {
  LoopGroup loops(1, clock_, logger_, metrics_);
  auto pool = std::make_unique<ThreadedDiskPool>(1, logger_, metrics_);
  loops.start();
  std::promise<std::thread::id> pool_thread;
  pool->submit("who", [&pool_thread] { pool_thread.set_value(std::this_thread::get_id()); });
  LateJob job;
  loops.at(0).post([&] { loops.at(0).spawn(wait_a_moment(loops.at(0), *pool, job)); });
  EXPECT_EQ(job.answered.get_future().get(), Errc::io_error);
  job.end.set_value();
  EXPECT_EQ(job.destroyed.get_future().get(), pool_thread.get_future().get());
  pool.reset();
  loops.stop();
}

TEST_F(Disk, APoolIsStuckWhenAllItsThreadsAreAndOnlyThen) {
  std::promise<void> end;
  std::shared_future<void> ended = end.get_future().share();
  std::atomic<int> running{0};
  ThreadedDiskPool pool(2, logger_, metrics_);
  EXPECT_FALSE(pool.is_stuck());
  auto hang = [&running, ended] {
    ++running;
    ended.wait();
    --running;
  };
  pool.submit("hang", hang);
  while (running < 1) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  EXPECT_FALSE(pool.is_stuck()) << "one thread is free";
  pool.submit("hang", hang);
  while (!pool.is_stuck()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  end.set_value();
  while (pool.is_stuck()) std::this_thread::yield();
}

// A run that drains a job before it is counted would let a second run begin beside it. A yield in every job
// and a pool with more threads than processors make the moment for that likely.
TEST_F(Disk, AStrandNeverRunsTwoJobsAtOnce) {
  std::atomic<int> running{0};
  std::atomic<int> overlaps{0};
  {
    ThreadedDiskPool pool(8, logger_, metrics_);
    DiskStrand strand(pool);
    for (int i = 0; i < 50'000; ++i) {
      strand.submit("alone", [&running, &overlaps] {
        if (running.fetch_add(1) != 0) ++overlaps;
        std::this_thread::yield();
        running.fetch_sub(1);
      });
      if (i % 7 == 0) std::this_thread::yield();
    }
  }
  EXPECT_EQ(overlaps, 0);
}

TEST_F(Disk, AStrandWithMuchToDoLetsOthersIn) {
  std::vector<int> order;
  {
    ThreadedDiskPool pool(1, logger_, metrics_);
    DiskStrand long_one(pool);
    DiskStrand short_one(pool);
    std::promise<void> gate;
    pool.submit("gate", [opened = gate.get_future()]() mutable { opened.wait(); });
    for (int i = 0; i < 100; ++i) long_one.submit("long", [&order] { order.push_back(0); });
    short_one.submit("short", [&order] { order.push_back(1); });
    gate.set_value();
  }
  auto first = std::find(order.begin(), order.end(), 1);
  EXPECT_LT(first - order.begin(), 10);
}

TEST_F(Disk, AStrandMayBeDroppedWithJobsUnderWay) {
  std::atomic<int> count{0};
  {
    ThreadedDiskPool pool(4, logger_, metrics_);
    DiskStrand strand(pool);
    for (int i = 0; i < 1000; ++i) strand.submit("count", [&count] { ++count; });
  }
  EXPECT_EQ(count, 1000);
}

Task<void> read_many(DiskPool& pool, EventLoop& loop, int& sum) {
  for (int i = 0; i < 500; ++i) {
    auto work = [i] { return i; };
    int value = co_await run_on_disk(pool, loop, "value", std::move(work));
    EXPECT_TRUE(loop.is_current_thread());
    sum += value;
  }
}
TEST_F(Disk, AFlowWaitsForAJobAndGoesOnOnItsLoop) {
  ThreadedDiskPool pool(4, logger_, metrics_);
  LoopGroup loops(2, clock_, logger_, metrics_);
  loops.start();
  int sums[2] = {0, 0};
  std::promise<void> started;
  for (size_t i = 0; i < 2; ++i)
    loops.at(i).post([&, i] { loops.at(i).spawn(read_many(pool, loops.at(i), sums[i])); });
  loops.at(1).post([&] { started.set_value(); });
  started.get_future().wait();
  std::promise<void> first_started;
  loops.at(0).post([&] { first_started.set_value(); });
  first_started.get_future().wait();
  loops.stop();
  EXPECT_EQ(sums[0], 500 * 499 / 2);
  EXPECT_EQ(sums[1], 500 * 499 / 2);
}

}  // namespace
}  // namespace entrepot
