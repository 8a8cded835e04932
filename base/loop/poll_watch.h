#pragma once

#include <functional>

namespace entrepot {

class EventLoop;

/// Watches a descriptor that somebody else owns for being readable or writable, level-triggered. Destroy it
/// before the descriptor is closed; the descriptor is out of the poll when the destructor returns. Loop's
/// thread only.
class PollWatch {
 public:
  // The bits of a mask, as libuv has them.
  static constexpr int kReadable = 1;
  static constexpr int kWritable = 2;
  static constexpr int kDisconnect = 4;  // the peer has gone; cheap to leave armed while sending
  static constexpr int kErrors = 8;      // nothing but errors. Heard without one: urgent data, which is noise

  /// `on_ready(mask, is_error)` is called with what is so. It may destroy the watch. `name` is for the stall
  /// watch.
  using Ready = std::move_only_function<void(int mask, bool is_error)>;
  PollWatch(EventLoop& loop, const char* name, int fd, Ready on_ready);
  ~PollWatch();
  PollWatch(const PollWatch&) = delete;
  PollWatch& operator=(const PollWatch&) = delete;

  /// Asks for these; 0 = nothing. An unchanged mask costs nothing.
  void want(int mask);

 private:
  struct Handle;
  Handle* handle_;
};

}  // namespace entrepot
