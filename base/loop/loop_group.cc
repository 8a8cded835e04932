#include "base/loop/loop_group.h"

#include <pthread.h>

#include <algorithm>

#include "base/check.h"

namespace entrepot {

LoopGroup::LoopGroup(size_t count, const Clock& clock, Logger& logger, Metrics& metrics) {
  CHECK(count >= 1 && count <= 64);
  for (size_t i = 0; i < count; ++i)
    loops_.push_back(std::make_unique<EventLoop>(static_cast<int>(i), clock, logger, metrics));
}

LoopGroup::~LoopGroup() { stop(); }

void LoopGroup::start() {
  for (auto& loop : loops_) {
    threads_.emplace_back([&loop] { loop->run(); });
    pthread_setname_np(threads_.back().native_handle(), ("loop-" + std::to_string(loop->index())).c_str());
  }
}

void LoopGroup::stop() {
  if (threads_.empty()) return;
  auto has_flows = [](const std::unique_ptr<EventLoop>& loop) { return loop->flows() > 0; };
  while (std::ranges::any_of(loops_, has_flows)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (auto& loop : loops_) loop->stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace entrepot
