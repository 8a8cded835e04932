#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "cache/cache.h"

// The rows of the index tables and their keys. docs/cache-format.md is the same in words; a change here is a
// new format version.

namespace entrepot::cache {

enum class BlobState : uint8_t {
  committed = 1,  // its file is in place, verified and synced
  doomed = 2,     // its file is being removed; still counted
};

struct BlobRow {
  BlobState state = BlobState::committed;
  uint64_t size = 0;
  uint64_t disk_bytes = 0;  // as the file system counts the file
  uint64_t sequence = 0;    // place in the order of eviction; the `lru` row has the same
  uint32_t pins = 0;        // > 0: never evicted, has no `lru` row

  std::string encode(std::string_view key) const;
  static std::optional<BlobRow> decode(std::string_view record, std::string_view key);
};

struct ManifestRow {
  std::string media_type;
  std::vector<Digest> children;
  std::optional<Digest> subject = {};  // what it refers to, and is a referrer of

  std::string encode(std::string_view key) const;
  static std::optional<ManifestRow> decode(std::string_view record, std::string_view key);
};

struct TagRow {
  Digest digest;
  int64_t checked_at_ms = 0;  // wall time since the epoch
  int64_t logged_at_ms = 0;   // the checked_at_ms that refs.log knows
  std::string etag;
  uint64_t age = 0;  // key of its `age` row

  std::string encode(std::string_view key) const;
  static std::optional<TagRow> decode(std::string_view record, std::string_view key);
};

struct LinkRow {
  uint64_t size = 0;  // 0 = not known
  uint64_t age = 0;

  std::string encode(std::string_view key) const;
  static std::optional<LinkRow> decode(std::string_view record, std::string_view key);
};

struct RepositoryRow {
  uint32_t id = 0;
  Repository repository;

  std::string encode(std::string_view key) const;
  static std::optional<RepositoryRow> decode(std::string_view record, std::string_view key);
};

/// One of `meta`: everything with a sequence from this one on was used after this time.
struct TimeRow {
  int64_t at_ms = 0;  // wall time since the epoch

  std::string encode(std::string_view key) const;
  static std::optional<TimeRow> decode(std::string_view record, std::string_view key);
};

/// One of `meta`, while there are blobs that a rebuild has found and nobody has hashed.
struct RebuiltRow {
  int64_t until_ms = 0;  // when the last of them was written, wall time since the epoch
  std::string from;      // the first key among them

  std::string encode(std::string_view key) const;
  static std::optional<RebuiltRow> decode(std::string_view record, std::string_view key);
};

/// One of `meta`: this manifest was pinned, with all that belonged to it then.
struct PinRow {
  int64_t pinned_at_ms = 0;

  std::string encode(std::string_view key) const;
  static std::optional<PinRow> decode(std::string_view record, std::string_view key);
};

/// The one row of `meta` that is always there: written in every transaction, so that counts and rows never
/// part.
struct StateRow {
  uint32_t format = 0;
  bool is_complete = false;    // false while a rebuild is under way
  uint64_t next_sequence = 1;  // 0 is for doomed rows
  uint64_t next_age = 1;
  uint32_t next_repository = 1;
  uint64_t blob_bytes = 0;    // sum of disk_bytes of all blob rows, doomed ones too
  uint64_t pinned_bytes = 0;  // those of them that are pinned
  uint64_t tags = 0;
  uint64_t links = 0;
  uint64_t refs_generation = 0;  // which refs.log belongs to this state, and how much of it
  uint64_t refs_length = 0;
  uint64_t refs_compacted_length = 0;

  std::string encode(std::string_view key) const;
  /// Reads `format` first: a newer format is decoded as far as that and nothing more.
  static std::optional<StateRow> decode(std::string_view record, std::string_view key);
};

enum class AgeKind : uint8_t { tag = 1, link = 2 };

inline constexpr std::string_view kStateKey = "state";
/// A TimeRow that is there from the start after a clean stop until the next one: the time of that start.
inline constexpr std::string_view kUncleanKey = "unclean";
inline constexpr std::string_view kRebuiltKey = "rebuilt";
inline constexpr size_t kMaxKey = 511;  // LMDB's limit

std::string repository_name_key(const Repository& repository);
std::string repository_id_key(uint32_t id);
std::string lru_key(uint64_t sequence, const Digest& digest);
std::string tag_key(uint32_t repository, std::string_view tag);
std::string link_key(const Digest& digest, uint32_t repository);
std::string holder_key(uint32_t repository, const Digest& digest);
std::string time_key(uint64_t sequence);
inline constexpr std::string_view kTimePrefix = "t";
std::string pin_key(const Digest& digest);
inline constexpr std::string_view kPinPrefix = "p";
/// Its pin outlives a pinned blob that was damaged, until it is there again.
std::string lost_pin_key(const Digest& digest);
std::string referrer_key(const Digest& subject, const Digest& referrer);
std::string age_key(AgeKind kind, uint64_t age);
/// A record without fields: the key says it all.
std::string empty_record(std::string_view key);

}  // namespace entrepot::cache
