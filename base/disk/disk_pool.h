#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "base/log.h"
#include "base/metrics.h"

namespace entrepot {

/// Where blocking work goes: file operations, index look-ups, hashing. A seam: tests use a pool they step by
/// hand. Any thread may submit. A job owns what it touches; nobody can cancel it once it is in.
class DiskPool {
 public:
  using Job = std::move_only_function<void()>;

  virtual ~DiskPool() = default;
  /// Runs `job` on a thread of the pool, in no order. `name` is static text for metrics and the log.
  /// Those who submit bound what they submit (a fill has at most 1 MiB under way, a request one job).
  virtual void submit(const char* name, Job job) = 0;
  /// Every thread has been at the same job for so long that whoever can do without the disk should. Any
  /// thread; never blocks.
  virtual bool is_stuck() const { return false; }
};

/// The real pool: `threads` threads (4 to 8) and one queue. Joins in the destructor, after running what was
/// submitted.
class ThreadedDiskPool final : public DiskPool {
 public:
  ThreadedDiskPool(size_t threads, Logger& logger, Metrics& metrics);
  ~ThreadedDiskPool() override;
  void submit(const char* name, Job job) override;
  bool is_stuck() const override;

 private:
  class Threads;
  std::unique_ptr<Threads> threads_;
};

}  // namespace entrepot
