#pragma once

#include <deque>

#include "base/metrics.h"
#include "proxy/pull/puller.h"

namespace entrepot::warm {

/// Fetches again what the scrub found damaged, unasked, by the rights of a repository that held it, a few
/// blobs at a time. What cannot be had, and what is more than kMaxWaiting, is left to who asks for it. One
/// for the process, with a home loop, which is the puller's; made by main.
class Healer {
 public:
  static constexpr size_t kMaxWaiting = 65'536;
  static constexpr int kAtOnce = 4;

  Healer(pull::Puller& puller, Metrics& metrics);

  /// Any thread.
  void heal(cache::DamagedBlob damaged);
  /// Any thread: nothing more is begun.
  void stop();

 private:
  void add(cache::DamagedBlob damaged);
  static Task<void> run(Healer& self);
  Task<void> fetch(cache::DamagedBlob damaged);
  Task<Status> fetch_from(cache::Repository repository, Digest digest, bool is_manifest);
  Task<Status> wait_stored(Digest digest);

  pull::Puller& puller_;
  EventLoop& loop_;
  Logger& logger_;
  Counter healed_;
  Counter failed_;
  std::deque<cache::DamagedBlob> waiting_;
  int running_ = 0;
  bool is_stopped_ = false;
};

}  // namespace entrepot::warm
