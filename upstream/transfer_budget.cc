#include "upstream/transfer_budget.h"

#include <algorithm>
#include <utility>

#include "base/loop/event_loop.h"

namespace entrepot::upstream {

struct TransferBudget::Member {
  EventLoop& loop;
  std::function<void()> try_again;
  std::atomic<bool> is_waiting{false};
};

TransferBudget::TransferBudget(size_t limit)
    : limit_(std::max<size_t>(limit, 1)),
      blob_limit_(limit_ == 1 ? 1 : limit_ - std::max<size_t>(limit_ / 8, 1)),
      bypass_limit_(std::max<size_t>(blob_limit_ / 2, 1)) {}

TransferBudget::~TransferBudget() = default;

size_t TransferBudget::join(EventLoop& loop, std::function<void()> try_again) {
  members_.push_back(std::unique_ptr<Member>(new Member{loop, std::move(try_again)}));
  return members_.size() - 1;
}

bool TransferBudget::take_one(std::atomic<size_t>& count, size_t limit) {
  size_t seen = count.load();
  while (seen < limit)
    if (count.compare_exchange_weak(seen, seen + 1)) return true;
  return false;
}

bool TransferBudget::try_take(TransferClass transfer_class) {
  bool is_blob = transfer_class != TransferClass::brief;
  bool is_bypass = transfer_class == TransferClass::bypass;
  if (is_bypass && !take_one(bypasses_, bypass_limit_)) return false;
  if (!is_blob || take_one(blobs_, blob_limit_)) {
    if (take_one(running_, limit_)) return true;
    if (is_blob) --blobs_;
  }
  if (is_bypass) --bypasses_;
  return false;
}

void TransferBudget::give_back(TransferClass transfer_class) {
  --running_;
  if (transfer_class != TransferClass::brief) --blobs_;
  if (transfer_class == TransferClass::bypass) --bypasses_;
  for (const auto& member : members_)
    if (member->is_waiting.load() && member->is_waiting.exchange(false))
      member->loop.post([target = member.get()] { target->try_again(); });
}

void TransferBudget::wait(size_t member) { members_[member]->is_waiting = true; }

}  // namespace entrepot::upstream
