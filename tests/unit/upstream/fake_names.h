#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "upstream/look_up_pool.h"

namespace entrepot::upstream::testing {

/// A DNS in memory: every name has the one address, but for those below "unknown"; a name that is held gets
/// no answer until it is released. Any thread. Its LookUp shares what it needs: a pool's threads may outlive
/// it.
class FakeNames {
 public:
  explicit FakeNames(Addresses addresses = {"127.0.0.1"}) { state_->addresses = std::move(addresses); }
  ~FakeNames() { release_all(); }

  LookUp look_up() const {
    return [state = state_](const std::string& host) { return state->look_up(host); };
  }
  void hold(const std::string& host) {
    std::lock_guard lock(state_->mutex);
    state_->held.insert(host);
  }
  void release_all() {
    std::lock_guard lock(state_->mutex);
    state_->held.clear();
    state_->changed.notify_all();
  }
  std::vector<std::string> asked() const {
    std::lock_guard lock(state_->mutex);
    return state_->asked;
  }
  void wait_until_asked(size_t count) const {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [&] { return state_->asked.size() >= count; });
  }

 private:
  struct State {
    Result<Addresses> look_up(const std::string& host) {
      std::unique_lock lock(mutex);
      asked.push_back(host);
      changed.notify_all();
      changed.wait(lock, [&] { return !held.contains(host); });
      if (host.ends_with("unknown")) return fail(Errc::upstream_unreachable, "could not resolve " + host);
      return addresses;
    }

    std::mutex mutex;
    std::condition_variable changed;
    Addresses addresses;
    std::set<std::string> held;
    std::vector<std::string> asked;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace entrepot::upstream::testing
