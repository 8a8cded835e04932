#pragma once

#include <gtest/gtest.h>

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
  PullTest() {
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
    disk_ = std::make_unique<ThreadedDiskPool>(4, logger_, metrics_);
    cache::Options options;
    options.directory = directory_;
    options.max_size = 256u << 20;
    auto opened = cache::Cache::open(options, clock_, logger_, metrics_);
    ASSERT_TRUE(opened) << opened.error().message;
    cache_ = std::move(*opened);
    loops_ = std::make_unique<LoopGroup>(GetParam(), clock_, logger_, metrics_);
    for (size_t i = 0; i < loops_->size(); ++i) {
      clients_.push_back(std::make_unique<FakeClient>(content_, loops_->at(i), settings_));
      pullers_.push_back(std::make_unique<pull::Puller>(
          pull::Context{*loops_, loops_->at(i), *disk_, *disk_, *cache_, *clients_[i], logger_, metrics_}));
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

  static cache::Repository repository(const std::string& name) { return {"docker.io", name}; }

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
