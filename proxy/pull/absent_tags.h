#pragma once

#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "base/result.h"

namespace entrepot::pull {

/// Tags of which the upstream has said that they do not exist, each for its `negative_ttl`. Never a digest: a
/// digest that is not there now may be pushed the moment after. One per loop, for the tags that are at home
/// there; in memory alone, bounded: who was heard of longest ago goes first.
class AbsentTags {
 public:
  static constexpr size_t kMaxTags = 4096;

  void add(const std::string& key, const Error& error, MonotonicTime until) {
    auto found = by_key_.find(key);
    if (found != by_key_.end()) drop(found);
    if (by_key_.size() >= kMaxTags) drop(by_key_.find(oldest_first_.front().key));
    oldest_first_.push_back({key, error, until});
    by_key_.emplace(key, std::prev(oldest_first_.end()));
  }

  /// What the upstream said, while it counts.
  std::optional<Error> find(const std::string& key, MonotonicTime now) {
    auto found = by_key_.find(key);
    if (found == by_key_.end()) return std::nullopt;
    if (now < found->second->until) return found->second->error;
    drop(found);
    return std::nullopt;
  }

  void forget(const std::string& key) {
    auto found = by_key_.find(key);
    if (found != by_key_.end()) drop(found);
  }

  size_t size() const { return by_key_.size(); }

 private:
  struct Absent {
    std::string key;
    Error error;
    MonotonicTime until;
  };
  using ByKey = std::unordered_map<std::string, std::list<Absent>::iterator>;

  void drop(ByKey::iterator entry) {
    oldest_first_.erase(entry->second);
    by_key_.erase(entry);
  }

  std::list<Absent> oldest_first_;
  ByKey by_key_;
};

}  // namespace entrepot::pull
