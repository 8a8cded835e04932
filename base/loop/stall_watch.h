#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

namespace entrepot {

/// Sees when an event loop did not get back to its poll in time. An iteration is a stall when, between two polls, the
/// thread used more than 10 ms of CPU time (100 ms under sanitizers), or gave up the processor of its own accord: slept
/// in a system call, waited for a lock or a page. Being preempted by others is no stall.
///
/// Each stall is a warning that names the longest callback of the iteration and counts in
/// `entrepot_loop_stalls_total{kind=…}`; the integration tests fail when there is one. Belongs to its loop's thread.
class StallWatch {
 public:
  StallWatch(int loop_index, Logger& logger, Metrics& metrics);

  /// On the loop's thread, before its first iteration.
  void begin();
  /// The loop is about to poll: judges the iteration that ends.
  void before_poll();
  MonotonicTime callback_begins();
  void callback_ends(const char* name, MonotonicTime begun);

 private:
  struct Usage {
    int64_t cpu_microseconds = 0;
    long voluntary_switches = 0;
  };
  static Usage usage_of_this_thread();

  const int loop_index_;
  Logger& logger_;
  Counter cpu_stalls_;
  Counter blocking_stalls_;
  bool has_woken_ = false;
  Usage at_wake_;
  const char* longest_name_ = "";
  MonotonicTime::duration longest_{};
};

}  // namespace entrepot
