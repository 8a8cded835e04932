#pragma once

#include <deque>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "base/digest.h"
#include "base/shared_fd.h"
#include "proxy/http/exchange.h"

namespace entrepot::registry {

/// An answer that needs no look-up: whole in memory (manifests and blobs of at most 64 KiB), or an open
/// descriptor.
struct HotAnswer {
  explicit HotAnswer(const Digest& object) : digest(object) {}

  Digest digest;
  http::AccessNote note;                             // for the log
  std::shared_ptr<const http::CannedAnswer> canned;  // or:
  SharedFd file;
  uint64_t size = 0;                             // of the file
  std::string media_type;                        // of a manifest; "" = this is a blob
  std::string ns;                                // OCI-Namespace, for heads that are made anew
  MonotonicTime expires = MonotonicTime::max();  // of a tag's answer
  MonotonicTime touched_at;                      // when the cache was last told of its use
};

/// The answers of one loop that are used again and again, asked before the index: least recently used goes
/// first, bounded in bytes (32 MiB of all loops together, at least 4 MiB each) and in descriptors (256). What
/// is evicted from the cache is forgotten here, so that its space is given back. The key is the request's
/// target as it was sent, with what its Host header selects (hot_target.h): they decide the upstream, the
/// repository and so the rights, and a hit need not even parse them.
class HotAnswers {
 public:
  /// `loops`: how many of these there are.
  explicit HotAnswers(size_t loops);
  /// The answer, or nullptr when there is none or it has expired. Good until the next call.
  HotAnswer* find(std::string_view key, MonotonicTime now);
  /// Not what was forgotten a moment ago: its look-up may have been overtaken by its eviction.
  void put(std::string key, HotAnswer answer, MonotonicTime now);
  void forget(const Digest& digest, MonotonicTime now);
  /// The answers to tags, which may have moved.
  void forget_tags();
  void forget_all();
  /// Counts up when tags are forgotten: what was resolved before is not put in after.
  uint64_t epoch() const { return epoch_; }

 private:
  struct Entry {
    std::string key;
    HotAnswer answer;
  };
  using Entries = std::list<Entry>;  // most recently used first

  void erase(Entries::iterator entry);
  bool is_leaving(const Digest& digest, MonotonicTime now);

  const size_t max_bytes_;
  Entries entries_;
  std::unordered_map<std::string_view, Entries::iterator> by_key_;
  std::unordered_multimap<Digest, Entries::iterator, DigestHash> by_digest_;
  std::deque<std::pair<Digest, MonotonicTime>> leaving_;  // oldest first, of the last seconds
  uint64_t epoch_ = 0;
  size_t bytes_ = 0;
  size_t files_ = 0;
};

}  // namespace entrepot::registry
