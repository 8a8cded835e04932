#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/loop/loop_group.h"
#include "base/unique_fd.h"
#include "manual_disk_pool.h"
#include "model_upstream.h"
#include "proxy/pull/puller.h"

namespace entrepot::model {

/// ENTREPOT_TEST_LOG is set: the log and all steps go to stderr.
bool is_log_wanted();

/// Stands still until the model moves it. Any thread.
class StandingClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return MonotonicTime(std::chrono::hours(1) + passed_.load()); }
  WallTime wall() const override { return WallTime(std::chrono::hours(24 * 365 * 50) + passed_.load()); }
  void advance(Duration duration) { passed_ = passed_.load() + duration; }

 private:
  std::atomic<Duration> passed_{Duration::zero()};
};

/// One life of the process: the pull path as main builds it on a real cache. What it stands on, clock and
/// upstream, outlives it; the directory too.
class ModelProcess {
 public:
  struct Setup {
    std::string directory;
    uint64_t max_size = 0;
    size_t loops = 1;
    std::map<std::string, size_t> origins;  // how many each upstream has
    DiskPatience disk_patience;
  };
  ModelProcess(const Setup& setup, StandingClock& clock, ModelUpstream& upstream);
  /// REQUIRES: flows() == 0 and no disk job waits.
  ~ModelProcess();

  size_t size() const { return loops_.size(); }
  EventLoop& loop(size_t index) const { return loops_.at(index % loops_.size()); }
  pull::Puller& puller(size_t index) { return *pullers_[index % pullers_.size()]; }
  cache::Cache& cache() { return *cache_; }
  ManualDiskPool& disk() { return disk_; }
  int flows() const;
  uint64_t evictions();

  /// Starts the flow that `make` makes, on a loop.
  template <class Make>
  void spawn(size_t index, Make make) {
    EventLoop& on = loop(index);
    on.post([&on, make = std::move(make)]() mutable { on.spawn(make()); });
  }

  /// Waits until nothing moves: no mail on any loop, no timer due, and, with `has_writer_work`, the index
  /// writer has taken and told all that was sent to it. What the test itself has to move (disk jobs, the
  /// upstream, the clock, the clients) stays as it is.
  void settle(bool has_writer_work);

 private:
  static Logger::Options quiet(const UniqueFd& null);
  uint64_t settle_loops();
  void settle_writer();
  uint64_t round();

  UniqueFd null_;
  Logger logger_;
  Metrics metrics_;
  ManualDiskPool disk_;
  std::unique_ptr<cache::Cache> cache_;
  LoopGroup loops_;
  std::vector<std::unique_ptr<ModelClient>> clients_;
  std::vector<std::unique_ptr<pull::Puller>> pullers_;
};

}  // namespace entrepot::model
