#pragma once

#include <functional>
#include <string>

namespace entrepot {

class EventLoop;

/// Hears that something in a directory was made, changed, renamed or removed (inotify(7)). A hint: what has
/// changed is for the owner to look at, and where the kernel gives no watch, nothing is heard. Loop's thread
/// only.
class PathWatch {
 public:
  /// `name` is for the stall watch; `on_change` must not destroy the watch.
  PathWatch(EventLoop& loop, const char* name, std::function<void()> on_change);
  ~PathWatch();
  PathWatch(const PathWatch&) = delete;
  PathWatch& operator=(const PathWatch&) = delete;

  /// Once. False: the kernel gives no watch.
  bool start(const std::string& directory);

 private:
  struct Handle;
  Handle* handle_;
};

}  // namespace entrepot
