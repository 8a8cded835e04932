#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace entrepot::upstream {

/// The addresses of a host as text ("192.0.2.1", "2001:db8::1"), in the order in which they are to be tried;
/// never empty.
using Addresses = std::vector<std::string>;

/// Asks somebody for the addresses of a host. BLOCKING, for seconds when the DNS is slow. The one error is
/// upstream_unreachable, "could not resolve HOST".
using LookUp = std::function<Result<Addresses>(const std::string& host)>;

/// The system's: getaddrinfo with AI_ADDRCONFIG.
Result<Addresses> look_up_by_system(const std::string& host);

/// The threads that wait for the DNS, so that neither loops nor disk threads do. Made by main, shared by all
/// loops. They are detached: a look-up cannot be cancelled, and the end of the process is not to wait for
/// one. Instead the destructor sees to it that no answer is given any more.
class LookUpPool {
 public:
  static constexpr size_t kThreads = 4;
  /// Called on a thread of the pool: posts to a loop and does nothing else.
  using Done = std::move_only_function<void(Result<Addresses>)>;

  explicit LookUpPool(LookUp look_up, size_t threads = kThreads);
  /// Before the loops that answers are posted to.
  ~LookUpPool();
  LookUpPool(const LookUpPool&) = delete;
  LookUpPool& operator=(const LookUpPool&) = delete;

  /// Any thread, never blocks. Those who submit bound what they submit.
  void submit(std::string host, Done done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace entrepot::upstream
