// Who is asked for a host's addresses, how often, and what is kept of the answer.

#include "upstream/resolver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/loop/loop_group.h"
#include "fake_names.h"

namespace entrepot::upstream::testing {
namespace {

class HandClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return MonotonicTime(Duration(now_.load())); }
  WallTime wall() const override { return WallTime(Duration(now_.load())); }
  void advance(Duration by) { now_ += by.count(); }

 private:
  std::atomic<Duration::rep> now_{1'000'000};
};

// Loops with a resolver each, a pool, and a fake DNS.
class Rig {
 public:
  explicit Rig(size_t loops = 1, size_t threads = LookUpPool::kThreads)
      : loops_(loops, clock_, logger_, metrics_),
        pool_(std::make_unique<LookUpPool>(names_.look_up(), threads)) {
    std::vector<Resolver::Home> homes;
    for (size_t i = 0; i < loops; ++i) {
      stations_.emplace_back(loops_.at(i), *pool_);
      homes.push_back({&loops_.at(i), &stations_.back().keeper});
    }
    for (Station& station : stations_) station.resolver.connect(homes);
    loops_.start();
  }
  ~Rig() {
    pool_.reset();
    loops_.stop();
  }

  using Answer = std::future<Result<Addresses>>;
  Answer resolve(const std::string& host, size_t loop = 0) {
    auto promise = std::make_shared<std::promise<Result<Addresses>>>();
    Answer answer = promise->get_future();
    loops_.at(loop).post([this, host, loop, promise] {
      Station& station = *std::next(stations_.begin(), static_cast<std::ptrdiff_t>(loop));
      station.tickets.push_back(station.resolver.resolve(
          host, [promise](Result<Addresses> addresses) { promise->set_value(std::move(addresses)); }));
    });
    return answer;
  }
  void drop_tickets() {
    loops_.at(0).post([this] { stations_.front().tickets.clear(); });
  }
  size_t kept() {
    size_t size = 0;
    turn([&] { size = stations_.front().keeper.size(); });
    return size;
  }
  // Until all loops have done what was asked of them, and what that asked of others.
  void settle() {
    for (size_t round = 0; round < 2; ++round)
      for (size_t i = 0; i < loops_.size(); ++i) turn([] {}, i);
  }
  HandClock& clock() { return clock_; }
  FakeNames& names() { return names_; }

 private:
  struct Station {
    Station(EventLoop& loop, LookUpPool& pool) : keeper(loop, pool), resolver(loop) {}
    NameKeeper keeper;
    Resolver resolver;
    std::vector<Resolver::Ticket> tickets;
  };
  template <class Job>
  void turn(Job job, size_t loop = 0) {
    std::promise<void> done;
    loops_.at(loop).post([&] {
      job();
      done.set_value();
    });
    done.get_future().wait();
  }

  HandClock clock_;
  Logger logger_{Logger::Options{}};
  Metrics metrics_;
  FakeNames names_;
  LoopGroup loops_;
  std::unique_ptr<LookUpPool> pool_;
  std::list<Station> stations_;
};

TEST(Resolver, SystemKnowsLocalhost) {
  Result<Addresses> addresses = look_up_by_system("localhost");
  ASSERT_TRUE(addresses) << addresses.error().message;
  EXPECT_TRUE(addresses->front() == "127.0.0.1" || addresses->front() == "::1") << addresses->front();
}

TEST(Resolver, SystemDoesNotKnowAnInvalidName) {
  Result<Addresses> addresses = look_up_by_system("no-such-host.invalid");
  ASSERT_FALSE(addresses);
  EXPECT_EQ(addresses.error().code, Errc::upstream_unreachable);
  EXPECT_EQ(addresses.error().message, "could not resolve no-such-host.invalid");
}

TEST(Resolver, AddressesAndLocalhostNeedNoLookUp) {
  for (const char* host : {"127.0.0.1", "[::1]", "[2001:db8::1]", "localhost", "registry.localhost"})
    EXPECT_FALSE(needs_look_up(host)) << host;
  for (const char* host : {"registry.test", "registry.test.", "127.0.0.1.test", "a", "notlocalhost"})
    EXPECT_TRUE(needs_look_up(host)) << host;
}

TEST(Resolver, AllWhoAskAtOnceShareOneLookUp) {
  Rig rig(2);
  rig.names().hold("slow.test");
  std::vector<Rig::Answer> answers;
  for (size_t i = 0; i < 10; ++i) answers.push_back(rig.resolve("slow.test", i % 2));
  rig.settle();
  Result<Addresses> other = rig.resolve("other.test").get();
  ASSERT_TRUE(other);
  std::vector<std::string> asked = rig.names().asked();
  EXPECT_EQ(std::ranges::count(asked, "slow.test"), 1);
  EXPECT_EQ(std::ranges::count(asked, "other.test"), 1) << "positive control";
  rig.names().release_all();
  for (Rig::Answer& answer : answers) EXPECT_EQ(answer.get().value_or(Addresses()), Addresses{"127.0.0.1"});
}

TEST(Resolver, SlowNamesHoldUpNoOther) {
  Rig rig(1, 2);
  rig.names().hold("slow.test");
  Rig::Answer slow = rig.resolve("slow.test");
  rig.names().wait_until_asked(1);
  EXPECT_TRUE(rig.resolve("quick.test").get());
  rig.names().release_all();
  EXPECT_TRUE(slow.get());
}

TEST(Resolver, AnswersAreKeptForAMinuteAndFailuresForFiveSeconds) {
  struct Row {
    std::string host;
    Duration lifetime;
  };
  for (const Row& row : {Row{"good.test", Duration(60'000)}, Row{"unknown", Duration(5'000)}}) {
    Rig rig;
    bool is_known = rig.resolve(row.host).get().has_value();
    EXPECT_EQ(is_known, row.host == "good.test");
    rig.clock().advance(row.lifetime - Duration(1));
    EXPECT_EQ(rig.resolve(row.host).get().has_value(), is_known);
    EXPECT_EQ(rig.names().asked().size(), 1U) << row.host;
    rig.clock().advance(Duration(1));
    EXPECT_EQ(rig.resolve(row.host).get().has_value(), is_known);
    EXPECT_EQ(rig.names().asked().size(), 2U) << row.host;
  }
}

TEST(Resolver, KeptNamesAreBounded) {
  Rig rig;
  for (size_t i = 0; i < NameKeeper::kMaxNames + 10; ++i)
    ASSERT_TRUE(rig.resolve("host" + std::to_string(i)).get());
  EXPECT_EQ(rig.kept(), NameKeeper::kMaxNames);
}

TEST(Resolver, LookUpsUnderWayAreBounded) {
  Rig rig(1, 1);
  rig.names().hold("slow.test");
  std::vector<Rig::Answer> answers;
  answers.push_back(rig.resolve("slow.test"));
  for (size_t i = 1; i < NameKeeper::kMaxLookUps; ++i)
    answers.push_back(rig.resolve("host" + std::to_string(i)));
  Result<Addresses> refused = rig.resolve("one-too-many.test").get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::overloaded);
  rig.names().release_all();
  for (Rig::Answer& answer : answers) EXPECT_TRUE(answer.get());
  EXPECT_TRUE(rig.resolve("one-too-many.test").get()) << "the refusal is not kept";
}

TEST(Resolver, WaitersForANameAreBounded) {
  Rig rig;
  rig.names().hold("slow.test");
  std::vector<Rig::Answer> answers;
  for (size_t i = 0; i < NameKeeper::kMaxWaiters; ++i) answers.push_back(rig.resolve("slow.test"));
  Result<Addresses> refused = rig.resolve("slow.test").get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::overloaded);
  rig.names().release_all();
  for (Rig::Answer& answer : answers) EXPECT_TRUE(answer.get());
}

TEST(Resolver, WhoDropsTheTicketGetsNoAnswer) {
  Rig rig;
  rig.names().hold("slow.test");
  Rig::Answer dropped = rig.resolve("slow.test");
  rig.drop_tickets();
  Rig::Answer kept = rig.resolve("slow.test");
  rig.settle();
  rig.names().release_all();
  EXPECT_TRUE(kept.get()) << "positive control";
  EXPECT_THROW(dropped.get(), std::future_error) << "its promise went with the ticket";
}

TEST(Resolver, EndOfThePoolDoesNotWaitForALookUp) {
  FakeNames names;
  names.hold("slow.test");
  auto calls = std::make_shared<std::atomic<int>>(0);
  auto pool = std::make_unique<LookUpPool>(names.look_up(), 1);
  std::promise<void> answered;
  pool->submit("quick.test", [&](const Result<Addresses>&) { answered.set_value(); });
  answered.get_future().wait();
  pool->submit("slow.test", [calls](const Result<Addresses>&) { ++*calls; });
  names.wait_until_asked(2);
  pool.reset();
  names.release_all();
  EXPECT_EQ(*calls, 0);
}

}  // namespace
}  // namespace entrepot::upstream::testing
