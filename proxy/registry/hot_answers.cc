#include "proxy/registry/hot_answers.h"

#include <utility>

namespace entrepot::registry {
namespace {

constexpr size_t kMaxBytes = 32 * 1024 * 1024;
constexpr size_t kMaxFiles = 256;
constexpr size_t kEntryOverhead = 512;

size_t weight(const HotAnswer& answer) {
  return kEntryOverhead + (answer.canned ? answer.canned->head.size() + answer.canned->body.size() : 0);
}

}  // namespace

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

void HotAnswers::put(std::string key, HotAnswer answer) {
  auto old = by_key_.find(key);
  if (old != by_key_.end()) erase(old->second);
  bytes_ += weight(answer);
  files_ += answer.file ? 1 : 0;
  entries_.push_front(Entry{std::move(key), std::move(answer)});
  by_key_.emplace(entries_.front().key, entries_.begin());
  by_digest_.emplace(entries_.front().answer.digest, entries_.begin());
  while (bytes_ > kMaxBytes || files_ > kMaxFiles) erase(std::prev(entries_.end()));
}

void HotAnswers::forget(const Digest& digest) {
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
