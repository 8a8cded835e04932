#pragma once

#include <deque>
#include <string>

#include "base/metrics.h"
#include "proxy/pull/puller.h"

namespace entrepot::warm {

/// Fetches the images of tags that were pushed, one image at a time, so that clients who wait for something
/// come first. At most kMaxWaiting wait; what is wanted beyond that is left to who asks for it. One for the
/// process, with a home loop, which is the puller's; made by main.
class Prefetcher {
 public:
  static constexpr size_t kMaxWaiting = 256;

  Prefetcher(pull::Puller& puller, Metrics& metrics);

  /// Any thread. A tag that waits already is not fetched twice; one that is being fetched is looked at again.
  void want(cache::Repository repository, std::string tag);
  /// Any thread: nothing more is begun. What is being fetched ends with the upstreams' clients.
  void stop();

 private:
  struct Wish {
    cache::Repository repository;
    std::string tag;
    bool operator==(const Wish&) const = default;
  };
  void add(Wish wish);
  static Task<void> run(Prefetcher& self);
  Task<void> fetch(Wish wish);

  pull::Puller& puller_;
  EventLoop& loop_;
  Logger& logger_;
  Counter done_;
  Counter failed_;
  Counter dropped_;
  std::deque<Wish> waiting_;
  bool is_running_ = false;
  bool is_stopped_ = false;
};

}  // namespace entrepot::warm
