// What the compiler must do right for flows to be coroutines. Every case counts the constructions and
// destructions of a probe that also knows its own address, because g++ 12's mistakes (an object destroyed
// once too often, a copied awaiter) are silent otherwise. The subset that these cases cover is the subset
// that tests/lint enforces.

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task/completion.h"
#include "base/task/ready_queue.h"
#include "base/task/task.h"

namespace entrepot {
namespace {

class Probe {
 public:
  static inline std::set<const Probe*> alive;
  static inline int constructed = 0;
  static inline int destroyed = 0;
  static inline int mistakes = 0;

  explicit Probe(int value) : value_(value) { born(); }
  Probe(const Probe& other) : value_(other.value_) { born(); }
  Probe(Probe&& other) noexcept : value_(std::exchange(other.value_, -1)) { born(); }
  Probe& operator=(const Probe&) = default;
  ~Probe() {
    if (alive.erase(this) == 0) ++mistakes;
    ++destroyed;
  }
  int value() const {
    if (!alive.contains(this)) ++mistakes;
    return value_;
  }

 private:
  void born() {
    ++constructed;
    if (!alive.insert(this).second) ++mistakes;
  }
  int value_;
};

class TaskCompilerProbe : public testing::Test {
 protected:
  TaskCompilerProbe() : scope_(queue_) {
    Probe::alive.clear();
    Probe::constructed = Probe::destroyed = Probe::mistakes = 0;
  }
  ~TaskCompilerProbe() override {
    EXPECT_TRUE(Probe::alive.empty());
    EXPECT_EQ(Probe::constructed, Probe::destroyed);
    EXPECT_EQ(Probe::mistakes, 0);
  }
  // Runs a flow to its end; `between` is what pumps do while it waits.
  template <class Between>
  void run(Task<void> flow, Between between) {
    std::move(flow).detach();
    for (int turn = 0; turn < 10; ++turn) {
      queue_.drain();
      between();
    }
    queue_.drain();
  }
  void run(Task<void> flow) {
    run(std::move(flow), [] {});
  }

  ReadyQueue queue_;
  ReadyQueue::Scope scope_;
  int seen_ = 0;
};

Task<int> value_of(Probe probe) { co_return probe.value(); }
Task<int> value_by_reference(Probe& probe) { co_return probe.value(); }
Task<Probe> make_probe(int value) {
  Probe probe(value);
  co_return std::move(probe);
}
Task<Result<Probe>> make_or_fail(int value) {
  if (value < 0) co_return fail(Errc::internal, "negative");
  co_return Probe(value);
}
Task<int> wait_for(Completion<int>& completion) {
  Probe before(1);
  int value = co_await completion;
  Probe after(2);
  co_return value + before.value() + after.value();
}

Task<void> await_ready_leaf(int& seen) {
  Completion<int> leaf;
  leaf.complete(7);
  int value = co_await leaf;
  seen = value;
}
TEST_F(TaskCompilerProbe, AwaitsALeafThatIsReady) {
  run(await_ready_leaf(seen_));
  EXPECT_EQ(seen_, 7);
}

Task<void> await_later_leaf(Completion<int>& leaf, int& seen) {
  int value = co_await wait_for(leaf);
  seen = value;
}
TEST_F(TaskCompilerProbe, AwaitsALeafThatCompletesOnALaterTurn) {
  Completion<int> leaf;
  int turn = 0;
  run(await_later_leaf(leaf, seen_), [&] {
    if (++turn == 3) leaf.complete(10);
  });
  EXPECT_EQ(seen_, 13);
}

Task<void> await_temporaries(int& seen) {
  Probe probe(5);
  int by_value = co_await value_of(probe);
  int by_reference = co_await value_by_reference(probe);
  int moved = co_await value_of(std::move(probe));
  seen = by_value + by_reference + moved;
}
TEST_F(TaskCompilerProbe, PassesArgumentsByValueAndByReference) {
  run(await_temporaries(seen_));
  EXPECT_EQ(seen_, 15);
}

Task<void> await_in_two_lines(int& seen) {
  Probe probe(6);
  Task<int> task = value_of(std::move(probe));
  int value = co_await std::move(task);
  seen = value;
}
TEST_F(TaskCompilerProbe, AwaitsANamedTask) {
  run(await_in_two_lines(seen_));
  EXPECT_EQ(seen_, 6);
}

Task<Probe> pass_through(int value) { co_return co_await make_probe(value); }
Task<void> returns_probes(int& seen) {
  Probe direct = co_await make_probe(1);
  Probe passed = co_await pass_through(2);
  Result<Probe> good = co_await make_or_fail(3);
  int wrong = -1;
  Result<Probe> bad = co_await make_or_fail(wrong);
  seen = direct.value() + passed.value() + good->value() + (bad ? 100 : 0);
}
TEST_F(TaskCompilerProbe, ReturnsMoveOnlyStyleValuesAndResults) {
  run(returns_probes(seen_));
  EXPECT_EQ(seen_, 6);
}

class Holder {
 public:
  explicit Holder(int value) : probe_(value) {}
  Task<int> doubled(Completion<int>& leaf) {
    int more = co_await leaf;
    co_return 2 * probe_.value() + more;
  }

 private:
  Probe probe_;
};
Task<void> member_coroutines(Completion<int>& first, Completion<int>& second, int& seen) {
  Holder on_stack(4);
  int one = co_await on_stack.doubled(first);
  auto on_heap = std::make_unique<Holder>(5);
  int two = co_await on_heap->doubled(second);
  seen = one + two;
}
TEST_F(TaskCompilerProbe, RunsMemberCoroutines) {
  Completion<int> first;
  Completion<int> second;
  int turn = 0;
  run(member_coroutines(first, second, seen_), [&] {
    ++turn;
    if (turn == 1) first.complete(1);
    if (turn == 2) second.complete(1);
  });
  EXPECT_EQ(seen_, 20);
}

Task<int> leaves_early(Completion<int>& leaf) {
  Probe outer(1);
  for (int i = 0; i < 10; ++i) {
    Probe inner(i);
    if (i == 3) {
      Probe nested(30);
      int value = co_await leaf;
      Probe after(40);
      if (value > 0) co_return value + nested.value() + after.value() + outer.value();
    }
  }
  co_return 0;
}
Task<void> await_leaves_early(Completion<int>& leaf, int& seen) {
  int value = co_await leaves_early(leaf);
  seen = value;
}
TEST_F(TaskCompilerProbe, DestroysLocalsOnAnEarlyReturnFromNestedBlocks) {
  Completion<int> leaf;
  int turn = 0;
  run(await_leaves_early(leaf, seen_), [&] {
    if (++turn == 1) leaf.complete(5);
  });
  EXPECT_EQ(seen_, 76);
}

Status check_positive(int value) {
  if (value < 0) return fail(Errc::internal, "negative");
  return {};
}
Task<Result<int>> tries(int value) {
  Probe probe(value);
  ENTREPOT_CO_TRY(check_positive(value));
  co_return probe.value();
}
Task<void> await_tries(int& seen) {
  int good = 8;
  int bad = -8;
  Result<int> right = co_await tries(good);
  Result<int> wrong = co_await tries(bad);
  seen = *right + (wrong ? 100 : 0);
}
TEST_F(TaskCompilerProbe, ExpandsTheTryMacroOnBothPaths) {
  run(await_tries(seen_));
  EXPECT_EQ(seen_, 8);
}

Task<int> ready_now(int value) { co_return value; }
Task<void> many_ready_tasks(int& seen, size_t& deepest) {
  char here = 0;
  auto base = reinterpret_cast<uintptr_t>(&here);
  for (int i = 0; i < 100'000; ++i) {
    int value = co_await ready_now(i);
    char now = 0;
    auto distance =
        static_cast<size_t>(std::abs(static_cast<intptr_t>(reinterpret_cast<uintptr_t>(&now) - base)));
    deepest = std::max(deepest, distance);
    seen = value;
  }
}
TEST_F(TaskCompilerProbe, KeepsTheStackFlatOverManyReadyTasks) {
  size_t deepest = 0;
  run(many_ready_tasks(seen_, deepest));
  EXPECT_EQ(seen_, 99'999);
  EXPECT_LT(deepest, 64u * 1024);
}

Task<void> many_woken_leaves(std::vector<std::unique_ptr<Completion<int>>>& leaves, int& seen) {
  for (size_t i = 0; i < leaves.size(); ++i) {
    int value = co_await *leaves[i];
    seen += value;
  }
}
TEST_F(TaskCompilerProbe, ResumesFromTheQueueAloneSoThatCompletionsDoNotNest) {
  std::vector<std::unique_ptr<Completion<int>>> leaves;
  for (int i = 0; i < 1000; ++i) leaves.push_back(std::make_unique<Completion<int>>());
  many_woken_leaves(leaves, seen_).detach();
  for (auto& leaf : leaves) {
    int before = seen_;
    leaf->complete(1);
    EXPECT_EQ(seen_, before);  // not inside complete()
    queue_.drain();
    EXPECT_EQ(seen_, before + 1);
  }
}

// A job in a pool owns its buffer; the flow that asked may be told `cancelled` and end before the job does.
struct Job {
  std::string buffer = std::string(4096, 'x');
  Completion<Result<int>>* waiter = nullptr;
};
Task<void> waits_for_job(std::shared_ptr<Job> job, bool& was_cancelled) {
  Completion<Result<int>> done;
  job->waiter = &done;
  Result<int> result = co_await done;
  was_cancelled = !result && result.error().code == Errc::cancelled;
}
TEST_F(TaskCompilerProbe, CancellationCompletesTheLeafAndTheJobKeepsItsBuffer) {
  bool was_cancelled = false;
  auto job = std::make_shared<Job>();
  waits_for_job(job, was_cancelled).detach();
  job->waiter->complete(fail(Errc::cancelled, "the client left"));
  job->waiter = nullptr;
  queue_.drain();
  EXPECT_TRUE(was_cancelled);
  job->buffer[0] = 'y';  // the job finishes after its waiter has gone
  EXPECT_EQ(job->buffer.size(), 4096u);
}

template <class... Arguments>
constexpr bool is_accepted = detail::coroutine_parameters_are_safe<Arguments...>;
TEST_F(TaskCompilerProbe, RefusesRvalueReferencesAndClosuresAsParameters) {
  auto closure = [] {};
  static_assert(is_accepted<int, std::string, Probe&, const Probe&>);
  static_assert(!is_accepted<std::string&&>);
  static_assert(!is_accepted<int, Probe&&>);
  static_assert(!is_accepted<decltype(closure)&>);
  static_assert(is_accepted<decltype(closure)>);  // a copy lives in the frame
}

}  // namespace
}  // namespace entrepot
