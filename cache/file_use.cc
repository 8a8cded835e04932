#include "cache/file_use.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace entrepot::cache {

ClosingBox::ClosingBox() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { CHECK(wake_.is_open()); }

void ClosingBox::post(Closing closing) {
  bool was_empty = box_.post(std::move(closing));
  if (is_shut_)
    close_all();
  else if (was_empty)
    wake();
}

void ClosingBox::shut() {
  is_shut_ = true;
  close_all();
}

void ClosingBox::wake() const {
  uint64_t one = 1;
  // Fails only when the counter is full, and then the writer is awake anyway.
  (void)!::write(wake_.get(), &one, sizeof one);
}

FileUse::~FileUse() {
  settle_unwritten();
  uint64_t bytes = bytes_.load(std::memory_order_relaxed);
  if (is_removed()) ledger_->lingering.fetch_sub(bytes, std::memory_order_relaxed);
  ledger_->release(bytes);
}

void FileUse::own_reserved(uint64_t bytes) {
  unwritten_.fetch_add(bytes, std::memory_order_relaxed);
  ledger_->unwritten.fetch_add(bytes, std::memory_order_relaxed);
  own_written(bytes);
}

void FileUse::own_written(uint64_t bytes) {
  if (is_removed()) ledger_->lingering.fetch_add(bytes, std::memory_order_relaxed);
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
}

void FileUse::wrote(uint64_t bytes) {
  // One thread at a time writes a part, so this needs no loop.
  uint64_t settled = std::min(bytes, unwritten_.load(std::memory_order_relaxed));
  unwritten_.fetch_sub(settled, std::memory_order_relaxed);
  ledger_->unwritten.fetch_sub(settled, std::memory_order_relaxed);
}

void FileUse::settle_unwritten() {
  ledger_->unwritten.fetch_sub(unwritten_.exchange(0, std::memory_order_relaxed), std::memory_order_relaxed);
}

uint64_t FileUse::hand_over() {
  settle_unwritten();
  uint64_t bytes = bytes_.exchange(0, std::memory_order_relaxed);
  if (is_removed()) ledger_->lingering.fetch_sub(bytes, std::memory_order_relaxed);
  return bytes;
}

void FileUse::set_measured(uint64_t bytes) {
  ledger_->recount(hand_over(), bytes);
  own_written(bytes);
}

void FileUse::set_removed() {
  if (is_removed_.exchange(true, std::memory_order_acq_rel)) return;
  ledger_->lingering.fetch_add(bytes_.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

SharedFd FileUse::share(UniqueFd file, std::shared_ptr<FileUse> use, std::function<void()> on_unreadable) {
  auto* descriptor = new OpenFile(std::move(file), std::move(on_unreadable));
  return SharedFd(descriptor, [use = std::move(use)](OpenFile* fd) mutable {
    if (use->is_removed()) {
      std::shared_ptr<ClosingBox> closing = use->closing_;
      closing->post({std::move(use), std::move(*fd)});
    }
    delete fd;
    use.reset();
  });
}

std::shared_ptr<FileUse> OpenFiles::use(const Digest& digest) {
  std::lock_guard lock(mutex_);
  std::weak_ptr<FileUse>& known = uses_[digest];
  std::shared_ptr<FileUse> use = known.lock();
  if (!use) {
    use = make_use();
    known = use;
    sweep();
  }
  return use;
}

void OpenFiles::adopt(const Digest& digest, const std::shared_ptr<FileUse>& use) {
  std::lock_guard lock(mutex_);
  uses_[digest] = use;
  sweep();
}

void OpenFiles::leaving(const Digest& digest) {
  std::lock_guard lock(mutex_);
  auto known = uses_.find(digest);
  if (known == uses_.end()) return;
  std::shared_ptr<FileUse> use = known->second.lock();
  if (use) use->set_removed();
}

void OpenFiles::removed(const Digest& digest, uint64_t bytes) {
  std::shared_ptr<FileUse> use;
  {
    std::lock_guard lock(mutex_);
    auto known = uses_.find(digest);
    if (known != uses_.end()) {
      use = known->second.lock();
      uses_.erase(known);
    }
  }
  if (!use) {
    ledger_->release(bytes);
    return;
  }
  use->set_removed();
  use->own_written(bytes);
}

void OpenFiles::sweep() {
  if (uses_.size() < sweep_at_) return;
  std::erase_if(uses_, [](const auto& entry) { return entry.second.expired(); });
  sweep_at_ = std::max<size_t>(1024, 2 * uses_.size());
}

}  // namespace entrepot::cache
