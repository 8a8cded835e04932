#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/task/completion.h"
#include "base/task/task.h"

namespace entrepot {

/// Many ask, one goes: at most one run of `start` for each key at a time, and whoever asks while it runs gets
/// the same value. Nothing is remembered afterwards. Lives on one loop, and longer than those who ask.
template <class Value>
class SingleFlight {
 public:
  /// `start()` makes the Task<Value> that answers for `key`, whoever asks.
  template <class Start>
  Task<Value> ask(std::string key, Start start) {
    auto [flight, is_first] = waiting_.try_emplace(key);
    if (!is_first) {
      Completion<Value> landed;
      flight->second.push_back(&landed);
      co_return co_await landed;
    }
    Task<Value> task = start();
    Value value = co_await std::move(task);
    auto done = waiting_.extract(key);
    for (Completion<Value>* waiter : done.mapped()) waiter->complete(value);
    co_return std::move(value);
  }

 private:
  std::unordered_map<std::string, std::vector<Completion<Value>*>> waiting_;
};

}  // namespace entrepot
