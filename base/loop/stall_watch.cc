#include "base/loop/stall_watch.h"

#include <sys/resource.h>

#include <chrono>

namespace entrepot {
namespace {

#ifdef ENTREPOT_SANITIZED
constexpr int64_t kMaxCpuMicroseconds = 100'000;
#else
constexpr int64_t kMaxCpuMicroseconds = 10'000;
#endif

Labels kind(int loop_index, const char* name) {
  return {{"loop", std::to_string(loop_index)}, {"kind", name}};
}
constexpr char kMetric[] = "entrepot_loop_stalls_total";
constexpr char kHelp[] = "Iterations of an event loop that took too long, by kind";

}  // namespace

StallWatch::StallWatch(int loop_index, Logger& logger, Metrics& metrics)
    : loop_index_(loop_index),
      logger_(logger),
      cpu_stalls_(metrics.counter(kMetric, kHelp, kind(loop_index, "cpu"))),
      blocking_stalls_(metrics.counter(kMetric, kHelp, kind(loop_index, "blocked"))) {}

StallWatch::Usage StallWatch::usage_of_this_thread() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  auto microseconds = [](const timeval& t) { return t.tv_sec * 1'000'000L + t.tv_usec; };
  return {microseconds(usage.ru_utime) + microseconds(usage.ru_stime), usage.ru_nvcsw};
}

void StallWatch::begin() { has_woken_ = false; }

// The first callback after the poll takes the reading: the poll itself may sleep.
MonotonicTime StallWatch::callback_begins() {
  if (!has_woken_) {
    has_woken_ = true;
    at_wake_ = usage_of_this_thread();
    longest_ = {};
    longest_name_ = "";
  }
  return std::chrono::steady_clock::now();
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
  Usage now = usage_of_this_thread();
  int64_t cpu = now.cpu_microseconds - at_wake_.cpu_microseconds;
  long switches = now.voluntary_switches - at_wake_.voluntary_switches;
  bool used_too_much = cpu > kMaxCpuMicroseconds;
  if (!used_too_much && switches == 0) return;
  (used_too_much ? cpu_stalls_ : blocking_stalls_).add();
  logger_.warn("loop {} stalled: {} us of CPU, {} voluntary switches; longest callback {} took {} us", loop_index_, cpu,
               switches, longest_name_,
               std::chrono::duration_cast<std::chrono::microseconds>(longest_).count());
}

}  // namespace entrepot
