#pragma once

#include <utility>

#include "base/task/completion.h"

namespace entrepot {

/// One value that may come too late: shared between the flow that waits for it, whoever gives it and the
/// timer that ends the wait. Lives on one loop.
template <class T>
struct Wait {
  Completion<T> done;

  bool is_over() const { return is_over_; }
  /// The first who comes ends it; what comes later is dropped.
  void end(T value) {
    if (!std::exchange(is_over_, true)) done.complete(std::move(value));
  }

 private:
  bool is_over_ = false;
};

}  // namespace entrepot
