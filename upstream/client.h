#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/disk/disk_pool.h"
#include "base/loop/loop_group.h"
#include "base/result.h"
#include "upstream/registry.h"

namespace entrepot::upstream {

/// What the loops' clients share: the settings, the CA stores (loaded once, off the loops), the metrics, the
/// threads that look names up. Made by main before the loops run, destroyed after the clients and before the
/// loops; BLOCKING (reads CA files).
class Shared {
 public:
  /// All else outlives this.
  static Result<std::unique_ptr<Shared>> make(std::vector<Settings> settings, DiskPool& pool,
                                              const Clock& clock, Logger& logger, Metrics& metrics);
  ~Shared();
  std::span<const Settings> settings() const;

  struct State;
  State& state() { return *state_; }

 private:
  explicit Shared(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// All upstreams of one loop: their connections, this loop's share of the tokens. Made by main, one per
/// loop, before the loops run; destroyed after they ended. Tokens have a home loop (the hash of the
/// scope), so that however many flows on however many loops want one, it is fetched once: `connect` tells
/// each client its siblings.
class Client {
 public:
  virtual ~Client() = default;
  static std::unique_ptr<Client> make(Shared& shared, LoopGroup& loops, EventLoop& loop);
  /// `siblings[i]` is loop i's client. Once, before the loops run.
  virtual void connect(std::span<Client* const> siblings) = 0;
  /// The upstream of that configured name; nullptr when there is none. Lives as long as the client.
  virtual Registry* find(std::string_view name) = 0;
  /// Loop's thread: ends every transfer and wait with `shutting_down`; later calls get the same.
  virtual void shut_down() = 0;
};

}  // namespace entrepot::upstream
