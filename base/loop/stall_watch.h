#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/unique_fd.h"

namespace entrepot {

/// Sees when an event loop did not get back to its poll in time. An iteration is a stall when, between two
/// polls, the thread used more than 10 ms of CPU time, or gave up the processor of its own accord, in a
/// system call, for a lock, for a page, and was away for more than 10 ms (100 ms each under sanitizers).
/// Being preempted and waiting for the processor is no stall, nor is what the hypervisor takes: the kernel
/// tells how often the thread slept (getrusage) and how long it was runnable without running
/// (/proc/thread-self/schedstat).
///
/// Any sleep would be the stricter rule. But the allocator and the kernel's map of our address space have
/// locks that another thread may hold for a moment, and be preempted meanwhile; on a busy machine that is
/// some milliseconds, and nothing that a change of ours could mend.
///
/// Each stall is a warning that names the longest callback of the iteration and counts in
/// `entrepot_loop_stalls_total{kind=…}`; the integration tests fail when there is one. Belongs to its loop's
/// thread.
class StallWatch {
 public:
  StallWatch(int loop_index, Logger& logger, Metrics& metrics);

  /// On the loop's thread, before its first iteration.
  void begin();
  /// The loop is about to poll: judges the iteration that ends.
  void before_poll();
  MonotonicTime callback_begins();
  void callback_ends(const char* name, MonotonicTime begun);
  /// From the poll's end to the beginning of the newest callback.
  MonotonicTime::duration iteration_so_far() const { return callback_began_at_ - woke_at_; }

 private:
  using Nanoseconds = std::chrono::nanoseconds;
  struct Switches {
    long voluntary = 0;
    long page_faults = 0;
  };
  static Nanoseconds cpu_time();
  static Switches switches();
  Nanoseconds time_in_run_queue() const;

  const int loop_index_;
  Logger& logger_;
  Counter cpu_stalls_;
  Counter blocking_stalls_;
  UniqueFd schedstat_;
  bool has_woken_ = false;
  MonotonicTime woke_at_;
  MonotonicTime callback_began_at_;
  Nanoseconds cpu_at_wake_{};
  Nanoseconds queued_at_wake_{};
  Switches switches_at_wake_;
  const char* longest_name_ = "";
  MonotonicTime::duration longest_{};
};

}  // namespace entrepot
