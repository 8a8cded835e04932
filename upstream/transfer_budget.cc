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
      bulk_limit_(limit_ == 1 ? 1 : limit_ - std::max<size_t>(limit_ / 8, 1)) {}

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

bool TransferBudget::try_take(bool is_bulk) {
  if (is_bulk && !take_one(bulk_, bulk_limit_)) return false;
  if (take_one(running_, limit_)) return true;
  if (is_bulk) --bulk_;
  return false;
}

void TransferBudget::give_back(bool is_bulk) {
  --running_;
  if (is_bulk) --bulk_;
  for (const auto& member : members_)
    if (member->is_waiting.load() && member->is_waiting.exchange(false))
      member->loop.post([target = member.get()] { target->try_again(); });
}

void TransferBudget::wait(size_t member) { members_[member]->is_waiting = true; }

}  // namespace entrepot::upstream
