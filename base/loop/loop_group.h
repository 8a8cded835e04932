#pragma once

#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "base/loop/event_loop.h"

namespace entrepot {

/// All event loops of the process, each on its thread. Made by main. What is shared between loops by key (a
/// digest, a tag, a token's scope, an upstream host) has a home loop here.
class LoopGroup {
 public:
  /// REQUIRES: 1 ≤ count ≤ 64. The loops are made but do not run yet.
  LoopGroup(size_t count, const Clock& clock, Logger& logger, Metrics& metrics);
  /// stop().
  ~LoopGroup();

  /// Starts one thread per loop.
  void start();
  /// Any thread that is none of the loops'. Waits until no loop has a flow (their owners have been told to
  /// end), then stops and joins them all: together, because a flow on one may wait for an answer from
  /// another.
  void stop();

  size_t size() const { return loops_.size(); }
  EventLoop& at(size_t index) const { return *loops_[index]; }
  EventLoop& home_of(size_t hash) const { return *loops_[hash % loops_.size()]; }

 private:
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::vector<std::thread> threads_;
};

}  // namespace entrepot
