#include "base/loop/stall_watch.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <chrono>

namespace entrepot {
namespace {

#ifdef ENTREPOT_SANITIZED
constexpr std::chrono::milliseconds kLimit{100};
#else
constexpr std::chrono::milliseconds kLimit{10};
#endif

Labels kind(int loop_index, const char* name) {
  return {{"loop", std::to_string(loop_index)}, {"kind", name}};
}
constexpr char kMetric[] = "entrepot_loop_stalls_total";
constexpr char kHelp[] = "Iterations of an event loop that took too long, by kind";

int64_t microseconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

}  // namespace

StallWatch::StallWatch(int loop_index, Logger& logger, Metrics& metrics)
    : loop_index_(loop_index),
      logger_(logger),
      cpu_stalls_(metrics.counter(kMetric, kHelp, kind(loop_index, "cpu"))),
      blocking_stalls_(metrics.counter(kMetric, kHelp, kind(loop_index, "blocked"))) {}

StallWatch::Nanoseconds StallWatch::cpu_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + Nanoseconds(time.tv_nsec);
}

StallWatch::Switches StallWatch::switches() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return {usage.ru_nvcsw, usage.ru_minflt + usage.ru_majflt};
}

// The second number of schedstat: nanoseconds in which the thread could have run and had no processor.
StallWatch::Nanoseconds StallWatch::time_in_run_queue() const {
  char text[128];
  ssize_t size = ::pread(schedstat_.get(), text, sizeof text, 0);
  if (size <= 0) return {};
  const char* end = text + size;
  const char* second = std::find<const char*>(text, end, ' ');
  int64_t queued = 0;
  if (second != end) std::from_chars(second + 1, end, queued);
  return Nanoseconds(queued);
}

void StallWatch::begin() {
  has_woken_ = false;
  schedstat_.reset(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC));
}

// The first callback after the poll takes the reading: the poll itself may sleep.
MonotonicTime StallWatch::callback_begins() {
  if (!has_woken_) {
    has_woken_ = true;
    queued_at_wake_ = time_in_run_queue();
    switches_at_wake_ = switches();
    woke_at_ = std::chrono::steady_clock::now();
    cpu_at_wake_ = cpu_time();
    longest_ = {};
    longest_name_ = "";
    callback_began_at_ = woke_at_;
  } else {
    callback_began_at_ = std::chrono::steady_clock::now();
  }
  return callback_began_at_;
}

void StallWatch::callback_ends(const char* name, MonotonicTime begun) {
  auto took = std::chrono::steady_clock::now() - begun;
  if (took < longest_) return;
  longest_ = took;
  longest_name_ = name;
}

void StallWatch::before_poll() {
  if (!has_woken_) return;
  has_woken_ = false;
  Nanoseconds all = std::chrono::steady_clock::now() - woke_at_;
  if (all <= kLimit) return;  // which spares nearly every iteration the system calls that say more
  Nanoseconds cpu = cpu_time() - cpu_at_wake_;
  Nanoseconds away = all - cpu;
  if (cpu <= kLimit && away <= kLimit) return;
  Switches now = switches();
  long sleeps = now.voluntary - switches_at_wake_.voluntary;
  // Without schedstat (a restricted /proc) being preempted can't be told from sleeping, and only CPU time is
  // judged.
  bool can_tell = sleeps > 0 && schedstat_.is_open();
  Nanoseconds slept = can_tell ? away - (time_in_run_queue() - queued_at_wake_) : Nanoseconds(0);
  if (cpu <= kLimit && slept <= kLimit) return;
  (cpu > kLimit ? cpu_stalls_ : blocking_stalls_).add();
  logger_.warn(
      "loop {} stalled: {} us of CPU, {} page faults, {} sleeps, asleep for {} us; longest callback {} took "
      "{} us",
      loop_index_, microseconds(cpu), now.page_faults - switches_at_wake_.page_faults, sleeps,
      microseconds(slept), longest_name_, microseconds(longest_));
}

}  // namespace entrepot
