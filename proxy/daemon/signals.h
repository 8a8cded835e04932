#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace entrepot::daemon {

/// SIGTERM, SIGINT and SIGHUP as something to wait for, and a bell that other threads ring. Made by main's
/// thread before any other thread, which inherit the blocked signals. SIGPIPE is ignored.
class Signals {
 public:
  static Result<Signals> block();

  enum class Event { stop, reload, bell };
  /// Main's thread: waits for a signal or the bell.
  Event wait();
  /// Any thread.
  void ring();

 private:
  Signals(UniqueFd signals, UniqueFd bell) : signals_(std::move(signals)), bell_(std::move(bell)) {}
  UniqueFd signals_;
  UniqueFd bell_;
};

}  // namespace entrepot::daemon
