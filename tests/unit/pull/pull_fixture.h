#pragma once

#include <gtest/gtest.h>

#include <barrier>
#include <filesystem>
#include <future>
#include <memory>
#include <vector>

#include "base/loop/loop_group.h"
#include "fake_upstream.h"
#include "proxy/pull/puller.h"

namespace entrepot::testing_support {

/// A clock that a test moves by hand on top of the real one.
class ShiftedClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return std::chrono::steady_clock::now() + shift_.load(); }
  WallTime wall() const override {
    return std::chrono::system_clock::now() + std::chrono::duration_cast<WallTime::duration>(shift_.load());
  }
  void advance(Duration duration) { shift_ = shift_.load() + duration; }

 private:
  std::atomic<Duration> shift_{Duration::zero()};
};

/// The pull path as main builds it, on a real cache in a temporary directory, with an upstream in memory. The
/// parameter is the number of loops.
class PullTest : public testing::TestWithParam<size_t> {
 protected:
  explicit PullTest(pull::StretchSizes stretches = {}) : stretches_(stretches) {
    std::string name = (std::filesystem::temp_directory_path() / "entrepot-pull-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    settings_.name = "docker.io";
    settings_.is_default = true;
    start();
  }
  ~PullTest() override {
    stop();
    std::filesystem::remove_all(directory_);
  }

  void start() {
    disk_ = std::make_unique<ThreadedDiskPool>(kDiskThreads, logger_, metrics_);
    cache::Options options;
    options.directory = directory_;
    options.max_size = max_size_;
    auto opened = cache::Cache::open(options, clock_, logger_, metrics_);
    ASSERT_TRUE(opened) << opened.error().message;
    cache_ = std::move(*opened);
    loops_ = std::make_unique<LoopGroup>(GetParam(), clock_, logger_, metrics_);
    for (size_t i = 0; i < loops_->size(); ++i) {
      clients_.push_back(std::make_unique<FakeClient>(content_, loops_->at(i), settings_));
      pullers_.push_back(std::make_unique<pull::Puller>(
          pull::Context{*loops_, loops_->at(i), *disk_, *disk_, *disk_, *disk_, *disk_, *cache_, *clients_[i],
                        logger_, metrics_, stretches_}));
    }
    std::vector<pull::Puller*> siblings;
    for (auto& puller : pullers_) siblings.push_back(puller.get());
    for (auto& puller : pullers_) puller->connect(siblings);
    loops_->start();
  }

  void stop() {
    if (loops_) loops_->stop();
    disk_.reset();
    if (cache_) cache_->stop();
    pullers_.clear();
    clients_.clear();
    loops_.reset();
    cache_.reset();
  }

  pull::Puller& puller(size_t i) { return *pullers_[i % pullers_.size()]; }
  EventLoop& loop(size_t i) { return loops_->at(i % loops_->size()); }
  /// Starts a flow on loop i.
  template <class Make>
  void spawn(size_t i, Make make) {
    loop(i).post([this, i, make = std::move(make)]() mutable { loop(i).spawn(make()); });
  }

  /// Waits until whatever was asked for before has got as far as it can without the upstream: every loop has
  /// taken its mail, every thread of the disk pool has come to the end of what was submitted, and their
  /// answers have been heard.
  void settle() {
    for (int i = 0; i < 3; ++i) {
      for (size_t one = 0; one < loops_->size(); ++one) {
        std::promise<void> reached;
        loops_->at(one).post([&reached] { reached.set_value(); });
        reached.get_future().wait();
      }
      auto all = std::make_shared<std::barrier<>>(kDiskThreads + 1);
      for (int one = 0; one < kDiskThreads; ++one) disk_->submit("settle", [all] { all->arrive_and_wait(); });
      all->arrive_and_wait();
    }
  }

  static cache::Repository repository(const std::string& name) { return {"docker.io", name}; }

  /// Everything anew, with another budget.
  void restart_with(uint64_t max_size) {
    stop();
    max_size_ = max_size;
    start();
  }

  static constexpr int kDiskThreads = 4;
  const pull::StretchSizes stretches_;
  uint64_t max_size_ = 256u << 20;
  std::string directory_;
  ShiftedClock clock_;
  Logger logger_{{LogLevel::error}};
  Metrics metrics_;
  upstream::Settings settings_;
  FakeContent content_;
  std::unique_ptr<DiskPool> disk_;
  std::unique_ptr<cache::Cache> cache_;
  std::unique_ptr<LoopGroup> loops_;
  std::vector<std::unique_ptr<FakeClient>> clients_;
  std::vector<std::unique_ptr<pull::Puller>> pullers_;
};

}  // namespace entrepot::testing_support
