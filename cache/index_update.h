#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache/index.h"
#include "cache/refs_log.h"

namespace entrepot::cache {

/// How many rows the index keeps of what is not bounded by the budget of bytes; beyond it the oldest go.
struct Caps {
  uint64_t tags = 1'000'000;
  uint64_t links = 4'000'000;
};

/// One write transaction of the index: rows and counts change together, and what refs.log has to learn is
/// collected. Nothing is durable before `commit`. Used by the index writer, by recovery and by the rebuild,
/// on one thread.
class IndexUpdate {
 public:
  explicit IndexUpdate(LmdbTxn txn) : txn_(std::move(txn)) {}
  /// A run begins. When the last one had no clean end: the first start since a clean one.
  Result<std::optional<WallTime>> begin_run(WallTime now);

  /// What a rebuild has found and nobody has hashed; nothing: there is none, or no more.
  Status set_rebuilt(const std::optional<RebuiltRow>& row);

  /// Reads the state row. Called once, first.
  Status begin();
  /// Writes the state row and commits.
  Status commit();

  IndexView view() const { return IndexView(txn_); }
  StateRow& state() { return state_; }
  void set_log_position(const RefsLog::Position& position);
  /// Encoded, for RefsLog::append.
  const std::vector<std::string>& log_entries() const { return log_entries_; }

  /// The blob is committed, as the most recently used. Replaces a row it has already, keeping its pins.
  Status put_blob(const Digest& digest, uint64_t size, uint64_t disk_bytes);
  Status touch(const Digest& digest);
  /// It is not given out any more; its file may be removed once this is durable.
  Status doom(const Digest& digest);
  /// Removes the blob's row and its manifest row; false when it has none, or one that is not doomed.
  Result<bool> remove_doomed(const Digest& digest);
  /// Pinned or not. One that is not here is pinned as soon as it is.
  Status pin(const Digest& digest, bool is_pinned);
  Status pin_image(const Commit::ImagePin& pin);
  Status put_manifest(const ManifestEntry& manifest);
  Status put_tag(const Commit::Tag& tag);
  Status put_link(const Commit::Link& link);
  /// From now on also links that are known get the newest age.
  void refresh_links() { refreshes_links_ = true; }
  /// What is not there is removed already.
  Status remove_tag(const Commit::TagRemoval& removal);
  Status remove_link(const Commit::Removal& removal);
  /// What is used from now on was used after `now`: for who asks when something was used last.
  Status mark_time(WallTime now);
  /// Removes the oldest tags and links beyond `caps`, at most a few hundred at a time.
  Status age_out(const Caps& caps);

  struct Candidate {
    Digest digest;
    BlobRow row;
  };
  /// Committed blobs without a pin, least recently used first. Removes `lru` rows that stand for nothing.
  Result<std::vector<Candidate>> least_recently_used(size_t count);
  Result<std::vector<Digest>> doomed() const;

 private:
  Result<uint32_t> intern(const Repository& repository);
  Status put_row(const Digest& digest, const BlobRow& row);
  Status remove_row(const Digest& digest, const BlobRow& row);
  Status keep_pin(const Digest& digest);
  Status remember_age(AgeKind kind, uint64_t old_age, std::string_view key);
  Result<bool> drop_oldest(AgeKind kind);

  LmdbTxn txn_;
  StateRow state_;
  std::vector<std::string> log_entries_;
  bool refreshes_links_ = false;
};

}  // namespace entrepot::cache
