#pragma once

#include <atomic>
#include <string_view>

#include "base/clock.h"

namespace entrepot::admin {

/// What the process is doing, as others may ask. Made by main, which moves it on; any thread.
///
///     opening → ready → draining        opening → draining
class Health {
 public:
  enum class State { opening, ready, draining };

  explicit Health(const Clock& clock) : clock_(clock), begun_(clock.monotonic()) {}

  void set_ready();
  void set_draining() { state_ = State::draining; }
  State state() const { return state_; }
  bool is_ready() const { return state_ == State::ready; }
  Duration uptime() const { return std::chrono::duration_cast<Duration>(clock_.monotonic() - begun_); }

 private:
  const Clock& clock_;
  const MonotonicTime begun_;
  std::atomic<State> state_{State::opening};
};

std::string_view name_of(Health::State state);

}  // namespace entrepot::admin
