#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cache/cache.h"

namespace entrepot::cache {

/// What blobs can't tell of themselves, and what an index is rebuilt from beside them. A later entry of the
/// same key replaces an earlier one.
struct ManifestEntry {
  Digest digest;
  std::string media_type;
  std::vector<Digest> children;
  std::optional<Digest> subject = {};
};
struct PinEntry {
  Digest digest;
  bool is_pinned = false;
};
using RefsEntry = std::variant<Commit::Tag, Commit::Link, ManifestEntry, PinEntry, Commit::ImagePin,
                               Commit::Removal, Commit::TagRemoval>;

std::string encode(const RefsEntry& entry);
std::optional<RefsEntry> decode_refs_entry(std::string_view record);

int64_t to_milliseconds(WallTime time);
WallTime from_milliseconds(int64_t milliseconds);

/// `refs.log`: a header with a generation, then CRC'd entries. Appended and synced before the index commit
/// that holds the same facts, so that it never knows less than the index. What it knows more was never
/// acknowledged; it is cut off at the next start, by the length that the index remembers. Compacting writes a
/// new file of the next generation and renames it over the old one. Owned by the index writer.
class RefsLog {
 public:
  struct Position {
    uint64_t generation = 0;  // 0 = no log yet
    uint64_t length = 0;
    uint64_t compacted_length = 0;  // what it was when it was last rewritten
    bool operator==(const Position&) const = default;
  };
  using Visit = std::function<Status(RefsEntry)>;

  /// `directory` is the cache's, open, and outlives the log.
  explicit RefsLog(int directory) : directory_(directory) {}

  /// BLOCKING. Opens the log for appending at `expected`, cutting off what comes after it. False when the
  /// file is not what the index knows (missing, shorter, of another generation): the log is then closed and
  /// must be rewritten.
  Result<bool> open(const Position& expected);
  /// BLOCKING. Appends encoded entries and syncs. After a failure the log takes nothing until it is
  /// rewritten: a failed fsync can't be retried.
  Status append(const std::vector<std::string>& entries);
  /// BLOCKING. What was appended last belongs to a commit that failed: cuts it off again. When that fails,
  /// too, the log must be rewritten.
  void take_back(const Position& position);
  /// Must be rewritten before the next append.
  bool is_broken() const { return !file_.is_open(); }

  /// BLOCKING. Writes a new log beside the old one; `finish` syncs it and puts it in the old one's place.
  class Rewrite {
   public:
    Status add(const RefsEntry& entry);
    Status finish();
    uint64_t length() const { return flushed_ + buffer_.size(); }

   private:
    friend class RefsLog;
    Rewrite(RefsLog& log, UniqueFd file, uint64_t generation);
    Status flush();

    RefsLog& log_;
    UniqueFd file_;
    uint64_t generation_;
    uint64_t flushed_ = 0;
    std::string buffer_;
  };
  Result<Rewrite> rewrite();

  /// BLOCKING. Gives every entry of the file to `visit`, oldest first, up to the first torn or damaged one.
  /// Returns false when it stopped before the end of the file.
  static Result<bool> replay(int directory, const Visit& visit);

  const Position& position() const { return position_; }
  uint64_t disk_bytes() const;

 private:
  const int directory_;
  UniqueFd file_;
  Position position_;
};

}  // namespace entrepot::cache
