#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/disk/disk_pool.h"
#include "base/loop/loop_group.h"
#include "upstream/client.h"
#include "upstream/upstream.h"

namespace entrepot::upstream::testing {

/// The system's clock, which a test can put forward. Any thread.
class ShiftedClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return system_.monotonic() + Duration(shift_.load()); }
  WallTime wall() const override { return system_.wall() + Duration(shift_.load()); }
  void advance(Duration by) { shift_ += by.count(); }

 private:
  SystemClock system_;
  std::atomic<Duration::rep> shift_{0};
};

/// Real loops, a real disk pool and real clients, for tests that talk to a ScriptedServer.
class Harness {
 public:
  explicit Harness(std::vector<Settings> settings, size_t loops = 1);
  explicit Harness(Settings settings, size_t loops = 1)
      : Harness(std::vector<Settings>{std::move(settings)}, loops) {}
  ~Harness();

  EventLoop& loop(size_t index = 0) { return loops_->at(index); }
  LoopGroup& loops() { return *loops_; }
  ShiftedClock& clock() { return clock_; }
  Metrics& metrics() { return metrics_; }
  /// For upstreams that a test makes by itself.
  Upstream::Common common() { return {CaStore::empty(), clock_, *logger_, metrics_, nullptr, is_stopped_}; }
  Logger& logger() { return *logger_; }
  DiskPool& pool() { return *pool_; }
  Registry& registry(size_t loop = 0, std::string_view name = "up.test") {
    return *clients_[loop]->find(name);
  }
  Client& client(size_t loop = 0) { return *clients_[loop]; }
  /// Ends everything and gives back what was logged, at debug.
  std::string stop_and_read_log();

  /// Starts `start()`, which makes a Task<T>, on a loop.
  template <class T, class Start>
  std::future<T> begin(Start start, size_t loop = 0) {
    auto promise = std::make_shared<std::promise<T>>();
    std::future<T> result = promise->get_future();
    loops_->at(loop).post([this, loop, promise, start = std::move(start)]() mutable {
      loops_->at(loop).spawn(deliver<T>(start(), promise));
    });
    return result;
  }

  std::future<Result<ManifestBody>> get_manifest(std::string repository, std::string reference,
                                                 size_t loop = 0);
  std::future<Result<ManifestHead>> head_manifest(std::string repository, std::string reference,
                                                  size_t loop = 0);
  /// The whole blob, read to its end.
  std::future<Result<std::string>> get_blob(std::string repository, Digest digest, size_t loop = 0);
  /// From the offset on.
  std::future<Result<std::string>> get_blob(BlobRequest request, size_t loop = 0);

 private:
  template <class T>
  static Task<void> deliver(Task<T> task, std::shared_ptr<std::promise<T>> promise) {
    T value = co_await std::move(task);
    promise->set_value(std::move(value));
  }
  void stop();

  ShiftedClock clock_;
  int log_fd_;
  std::unique_ptr<Logger> logger_;
  Metrics metrics_;
  std::atomic<bool> is_stopped_{false};
  std::unique_ptr<DiskPool> pool_;
  std::unique_ptr<LoopGroup> loops_;
  std::unique_ptr<Shared> shared_;
  std::vector<std::unique_ptr<Client>> clients_;
};

/// An upstream "up.test" at that url, asked anonymously.
Settings settings_for(const std::string& url);
/// The same, with the credential user:password (from a file that lives as long as the process).
Settings settings_with_credential(const std::string& url, const std::string& password);
/// A new file under the test's temporary directory.
std::string temporary_file(const std::string& name, const std::string& content);

}  // namespace entrepot::upstream::testing
