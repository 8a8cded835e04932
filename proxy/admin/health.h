#pragma once

#include <atomic>
#include <functional>
#include <string>
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
  /// What is wrong with something that the process can do without; "" = nothing. Set before the listeners are
  /// there; `look` is called on any thread, and returns at once.
  void set_detail(std::function<std::string()> look) { detail_ = std::move(look); }
  std::string detail() const { return detail_ ? detail_() : std::string(); }
  bool is_ready() const { return state_ == State::ready; }
  Duration uptime() const { return std::chrono::duration_cast<Duration>(clock_.monotonic() - begun_); }

 private:
  const Clock& clock_;
  const MonotonicTime begun_;
  std::atomic<State> state_{State::opening};
  std::function<std::string()> detail_;
};

std::string_view name_of(Health::State state);

}  // namespace entrepot::admin
