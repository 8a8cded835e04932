#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/loop/event_loop.h"
#include "base/result.h"
#include "upstream/look_up_pool.h"

namespace entrepot::upstream {

/// False for address literals, and for localhost and the names below it, which libcurl knows by itself
/// (RFC 6761 section 6.3). `host` as Url has it.
bool needs_look_up(const std::string& host);

/// One loop's share of the host names: those whose home this loop is. Loop's thread only. Answers are kept
/// for a minute, failures for five seconds, at most kMaxNames; the one that ends first makes room. A name
/// that is being looked up is not looked up a second time. One per loop, for all upstreams.
class NameKeeper {
 public:
  static constexpr size_t kMaxNames = 1024;
  static constexpr size_t kMaxLookUps = 64;    // under way at once
  static constexpr size_t kMaxWaiters = 1024;  // for one name
  static constexpr Duration kLifetime{60'000};
  static constexpr Duration kFailureLifetime{5'000};
  using Waiter = std::move_only_function<void(const Result<Addresses>&)>;

  NameKeeper(EventLoop& loop, LookUpPool& pool) : loop_(loop), pool_(pool) {}

  /// Calls `waiter` now or when the answer is there. Errors: LookUp's, and overloaded.
  void get(const std::string& host, Waiter waiter);
  size_t size() const { return kept_.size(); }

 private:
  struct Kept {
    Result<Addresses> addresses;
    MonotonicTime end;
  };
  void start(const std::string& host);
  void finish(const std::string& host, Result<Addresses> addresses);
  void keep(const std::string& host, Result<Addresses> addresses);

  EventLoop& loop_;
  LookUpPool& pool_;
  std::map<std::string, Kept> kept_;
  std::map<std::string, std::vector<Waiter>> under_way_;
};

/// The host names as a pump on one loop sees them: asks the home of the name. One per loop. No flow waits for
/// a look-up, since the loops' end waits for flows.
class Resolver {
 public:
  struct Home {
    EventLoop* loop;
    NameKeeper* keeper;
  };
  using Done = std::move_only_function<void(Result<Addresses>)>;
  /// Whoever waits holds it; without it, the answer goes nowhere. Loop's thread.
  using Ticket = std::shared_ptr<Done>;

  explicit Resolver(EventLoop& loop) : loop_(loop) {}
  /// Once, before the loops run; `homes` is alike on all of them.
  void connect(std::vector<Home> homes) { homes_ = std::move(homes); }

  /// Calls `done` on this loop, in a later turn. How long that takes is for the caller to bound. Errors as
  /// NameKeeper's.
  [[nodiscard]] Ticket resolve(const std::string& host, Done done);

 private:
  EventLoop& loop_;
  std::vector<Home> homes_;
};

}  // namespace entrepot::upstream
