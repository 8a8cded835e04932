#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace entrepot {

/// An unbounded queue from many threads to one, without locks, so that posting never blocks an event loop.
/// Who posts bounds what he posts: every message here belongs to a request, a fill or a job, and those are
/// bounded. First in, first out for each sender.
template <class T>
class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() {
    drain([](T&&) {});
  }

  /// Any thread. True when the box was empty: the sender then wakes the reader.
  bool post(T message) {
    Node* node = new Node{std::move(message), nullptr};
    Node* old = head_.load(std::memory_order_relaxed);
    do node->next = old;
    while (!head_.compare_exchange_weak(old, node, std::memory_order_release, std::memory_order_relaxed));
    return old == nullptr;
  }

  bool is_empty() const { return head_.load(std::memory_order_acquire) == nullptr; }

  /// The reader's thread. Takes all that is there now, oldest first, and gives each to `use`.
  template <class Use>
  size_t drain(Use&& use) {
    Node* newest = head_.exchange(nullptr, std::memory_order_acquire);
    Node* oldest = nullptr;
    while (newest != nullptr) {
      Node* next = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = next;
    }
    size_t count = 0;
    while (oldest != nullptr) {
      Node* next = oldest->next;
      use(std::move(oldest->message));
      delete oldest;
      oldest = next;
      ++count;
    }
    return count;
  }

 private:
  struct Node {
    T message;
    Node* next;
  };
  std::atomic<Node*> head_{nullptr};
};

}  // namespace entrepot
