#include "proxy/registry/hot_answers.h"

#include <algorithm>
#include <utility>

namespace entrepot::registry {
namespace {

constexpr size_t kBytesOfAll = 32 * 1024 * 1024;
constexpr size_t kLeastBytes = 4 * 1024 * 1024;
constexpr size_t kMaxFiles = 256;
constexpr size_t kEntryOverhead = 512;
constexpr size_t kMaxLeaving = 1024;
constexpr std::chrono::seconds kLookUpsLast{5};

size_t weight(const HotAnswer& answer) {
  return kEntryOverhead + (answer.canned ? answer.canned->head.size() + answer.canned->body->size() : 0);
}

}  // namespace

HotAnswers::HotAnswers(size_t loops) : max_bytes_(std::max(kBytesOfAll / loops, kLeastBytes)) {}

HotAnswer* HotAnswers::find(std::string_view key, MonotonicTime now) {
  auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  Entries::iterator entry = found->second;
  if (entry->answer.expires <= now) {
    erase(entry);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  return &entry->answer;
}

void HotAnswers::put(std::string key, HotAnswer answer, MonotonicTime now) {
  if (is_leaving(answer.digest, now)) return;
  auto old = by_key_.find(key);
  if (old != by_key_.end()) erase(old->second);
  bytes_ += weight(answer);
  files_ += answer.file ? 1 : 0;
  entries_.push_front(Entry{std::move(key), std::move(answer)});
  by_key_.emplace(entries_.front().key, entries_.begin());
  by_digest_.emplace(entries_.front().answer.digest, entries_.begin());
  while (bytes_ > max_bytes_ || files_ > kMaxFiles) erase(std::prev(entries_.end()));
}

bool HotAnswers::is_leaving(const Digest& digest, MonotonicTime now) {
  while (!leaving_.empty() && now - leaving_.front().second > kLookUpsLast) leaving_.pop_front();
  return std::ranges::any_of(leaving_, [&digest](const auto& entry) { return entry.first == digest; });
}

void HotAnswers::forget_all() {
  ++epoch_;
  while (!entries_.empty()) erase(entries_.begin());
}

void HotAnswers::forget_tags() {
  ++epoch_;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    auto next = std::next(entry);
    if (entry->answer.expires != MonotonicTime::max()) erase(entry);
    entry = next;
  }
}

void HotAnswers::forget(const Digest& digest, MonotonicTime now) {
  leaving_.emplace_back(digest, now);
  if (leaving_.size() > kMaxLeaving) leaving_.pop_front();
  auto range = by_digest_.equal_range(digest);
  while (range.first != range.second) {
    Entries::iterator entry = range.first->second;
    ++range.first;
    erase(entry);
  }
}

void HotAnswers::erase(Entries::iterator entry) {
  bytes_ -= weight(entry->answer);
  files_ -= entry->answer.file ? 1 : 0;
  by_key_.erase(entry->key);
  auto range = by_digest_.equal_range(entry->answer.digest);
  for (auto one = range.first; one != range.second; ++one) {
    if (one->second != entry) continue;
    by_digest_.erase(one);
    break;
  }
  entries_.erase(entry);
}

}  // namespace entrepot::registry
