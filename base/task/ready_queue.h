#pragma once

#include <coroutine>
#include <vector>

namespace entrepot {

/// The coroutines of one thread that may go on. Flows are resumed from here alone, by the loop, between
/// callbacks: so no flow runs inside another's leaf, and the stack stays flat however many steps are ready at
/// once. One per event loop; only its thread touches it.
class ReadyQueue {
 public:
  /// The queue of this thread's loop. REQUIRES: called on a loop's thread (or under a Scope in a test).
  static ReadyQueue& of_this_thread();

  void push(std::coroutine_handle<> handle) { ready_.push_back(handle); }
  /// Resumes until nothing is ready. Not re-entrant: a call from inside a resumed flow returns at once.
  void drain();
  bool is_empty() const { return ready_.empty(); }

  /// Makes `queue` the one of this thread while it lives.
  class Scope {
   public:
    explicit Scope(ReadyQueue& queue);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    ReadyQueue* previous_;
  };

 private:
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> running_;
  bool is_draining_ = false;
};

}  // namespace entrepot
