#include "cache/room.h"

#include <fmt/core.h>
#include <sys/statvfs.h>

namespace entrepot::cache {
namespace {

constexpr std::chrono::seconds kLongestWait{1};

}  // namespace

bool RoomRequest::end(State state) {
  std::lock_guard lock(mutex_);
  if (state_ != State::waiting) return false;
  state_ = state;
  changed_.notify_all();
  return true;
}

bool RoomRequest::is_waiting() const {
  std::lock_guard lock(mutex_);
  return state_ == State::waiting;
}

bool RoomRequest::wait(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [this] { return state_ != State::waiting; });
  if (state_ == State::waiting) state_ = State::abandoned;
  return state_ == State::granted;
}

bool Room::try_reserve(uint64_t bytes) {
  if (!ledger_->try_reserve(bytes)) return false;
  if (file_system_shortage(bytes) == 0) return true;
  ledger_->release(bytes);
  return false;
}

bool Room::try_take(FileUse& use, uint64_t bytes) {
  if (!try_reserve(bytes)) return false;
  use.own_reserved(bytes);
  if (ledger_->used() > ledger_->high_water()) wake_->wake();
  return true;
}

Status Room::take(FileUse& use, uint64_t bytes) {
  if (try_take(use, bytes)) return {};
  auto request = std::make_shared<RoomRequest>(bytes);
  requests_.post(request);
  wake_->wake();
  if (!request->wait(std::chrono::steady_clock::now() + kLongestWait))
    return fail(Errc::disk_full, fmt::format("no room for {} bytes in the cache", bytes));
  use.own_reserved(bytes);
  return {};
}

bool Room::try_grant(RoomRequest& request) {
  if (!try_reserve(request.bytes())) return false;
  if (!request.grant()) ledger_->release(request.bytes());
  return true;
}

uint64_t Room::file_system_shortage(uint64_t bytes) const {
  struct statvfs status;
  if (::fstatvfs(directory_, &status) != 0) return 0;
  uint64_t free = static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
  uint64_t wanted = min_free() + ledger_->unwritten.load(std::memory_order_relaxed) + bytes;
  return wanted > free ? wanted - free : 0;
}

}  // namespace entrepot::cache
