// What the index writer does with one batch. The thread and its order of work are in index_writer.cc.

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/reference.h"
#include "cache/files.h"
#include "cache/index_writer.h"

namespace entrepot::cache {
namespace {

constexpr Duration kComplainEvery{10'000};
constexpr Duration kMarkTimeEvery{600'000};
constexpr Duration kUnreadableWindow{60'000};
constexpr int kMostUnreadable = 8;
constexpr size_t kMaxMediaType = 1024;

}  // namespace

bool IndexWriter::transact(Batch& batch) {
  bool has_reached_commit = false;
  RefsLog::Position logged = around_.log.position();
  auto attempt = [&]() -> Status {
    ENTREPOT_TRY_ASSIGN(LmdbTxn txn, around_.index.write());
    IndexUpdate update(std::move(txn));
    ENTREPOT_TRY(update.begin());
    if (around_.is_purging) update.refresh_links();
    ENTREPOT_TRY(fill_transaction(update, batch));
    ENTREPOT_TRY(around_.log.append(update.log_entries()));
    update.set_log_position(around_.log.position());
    has_reached_commit = true;
    ENTREPOT_TRY(update.commit());
    state_ = update.state();
    return {};
  };
  Status done = attempt();
  has_failed_ = !done;
  if (done) {
    is_log_moved_ = false;
    transactions_.add();
    return true;
  }
  around_.ledger.release(batch.charged);
  if (!batch.drops.empty()) has_lost_drops_ = true;
  note_failure(done.error());
  // Serve on, store nothing. Evicting blobs is tried again: what was doomed in this transaction is not.
  removals_.insert(removals_.end(), batch.removed.begin(), batch.removed.end());
  if (done.error().code == Errc::disk_full) {
    // What was to go for another reason keeps its file, for its row says that it has one.
    std::erase_if(batch.doomed, [](const Evictor::Doomed& blob) { return !blob.is_evicted; });
    evictor_.take_away_undoomed(batch.doomed);
    for (const Evictor::Doomed& blob : batch.doomed)
      drops_.push_back({.digest = blob.digest, .complaint = "evicted from a full disk"});
  }
  fail_all(batch, done.error());
  if (has_reached_commit) {
    // Else a rebuild would do what has never been.
    around_.log.take_back(logged);
    Status reopened = around_.index.reopen();
    if (!reopened) note_failure(reopened.error());
  }
  return false;
}

void IndexWriter::note_failure(const Error& error) {
  failures_.add();
  around_.trouble.note(error);
  MonotonicTime now = around_.clock.monotonic();
  if (complained_at_ && now - *complained_at_ < kComplainEvery) return;
  complained_at_ = now;
  around_.logger.error("the cache stores nothing for now: {}", error.message);
}

Status IndexWriter::fill_transaction(IndexUpdate& update, Batch& batch) {
  for (const Digest& digest : batch.removed) ENTREPOT_TRY(update.remove_doomed(digest));

  MonotonicTime now = around_.clock.monotonic();
  if (!marked_time_at_ || now - *marked_time_at_ >= kMarkTimeEvery) {
    ENTREPOT_TRY(update.mark_time(around_.clock.wall()));
    marked_time_at_ = now;
  }

  around_.inbox.drain_touches(batch.touches);
  touched_at_.reset();
  std::unordered_map<Digest, size_t, DigestHash> last_touch;
  for (size_t i = 0; i < batch.touches.size(); ++i) last_touch[batch.touches[i]] = i;
  for (size_t i = 0; i < batch.touches.size(); ++i)
    if (last_touch[batch.touches[i]] == i) ENTREPOT_TRY(update.touch(batch.touches[i]));

  for (const CommitMessage& message : batch.commits) {
    Result<void> outcome = judge(update, message.commit);
    if (outcome) ENTREPOT_TRY(apply(update, message.commit, batch));
    batch.outcomes.push_back(std::move(outcome));
  }
  for (DropMessage& drop : batch.drops) {
    ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, update.view().blob(drop.digest));
    if (!row || row->state != BlobState::committed || !is_stale(drop, *row)) continue;
    if (drop.is_unreadable && !is_believed()) continue;
    around_.logger.warn("{} is dropped from the cache: {}", drop.digest.text(), drop.complaint);
    ENTREPOT_TRY(update.doom(drop.digest));
    batch.doomed.push_back({drop.digest, row->disk_bytes});
    if (drop.gone) batch.dropped.push_back(std::move(drop.gone));
  }
  ENTREPOT_TRY(take_in(update, batch));
  if (batch.proven) {
    const std::string& key = batch.proven->key;
    std::optional<RebuiltRow> left;
    if (!key.empty()) left = RebuiltRow{to_milliseconds(around_.doubtful.rebuilt_until()), key};
    ENTREPOT_TRY(update.set_rebuilt(left));
  }
  if (batch.evict_bytes > 0) {
    ENTREPOT_TRY_ASSIGN(Evictor::Choice choice, evictor_.choose(update, batch.evict_bytes));
    can_evict_ = choice.has_progress;
    batch.doomed.insert(batch.doomed.end(), choice.doomed.begin(), choice.doomed.end());
  }
  return update.age_out(caps_);
}

// Everything that can be wrong with a commit is found before its first row is written: what follows can only
// fail with the whole transaction.
Status IndexWriter::judge(const IndexUpdate& update, const Commit& commit) const {
  auto is_here = [&](const Digest& digest) -> Result<bool> {
    if (placed_.contains(digest)) return true;
    ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, update.view().blob(digest));
    return row && row->state == BlobState::committed;
  };
  for (const Commit::Blob& blob : commit.blobs) {
    ENTREPOT_TRY_ASSIGN(bool has_file, is_here(blob.digest));
    if (!has_file)
      return fail(Errc::internal, "commit of " + blob.digest.text() + ", whose file was not placed");
    auto placed = placed_.find(blob.digest);
    if (placed != placed_.end() && placed->second.size != blob.size)
      return fail(Errc::internal, fmt::format("commit of {} with {} bytes, but {} were placed",
                                              blob.digest.text(), blob.size, placed->second.size));
    if (blob.manifest_media_type.size() > kMaxMediaType)
      return fail(Errc::manifest_invalid,
                  "the media type of " + blob.digest.text() + " is too long to be kept");
  }
  for (const Commit::Link& link : commit.links)
    if (repository_name_key(link.repository).size() > kMaxKey)
      return fail(Errc::name_invalid, "repository name too long");
  for (const Commit::Tag& tag : commit.tags)
    if (!is_tag(tag.tag) || repository_name_key(tag.repository).size() > kMaxKey)
      return fail(Errc::tag_invalid, "tag or repository name can't be kept");
  auto is_own = [&commit](const Digest& digest) {
    return std::ranges::any_of(commit.blobs, [&](const Commit::Blob& blob) { return blob.digest == digest; });
  };
  for (const Digest& digest : commit.pins) {
    // What is placed has no row before its own commit.
    ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, update.view().blob(digest));
    bool has_row = (row && row->state == BlobState::committed) || is_own(digest);
    if (!has_row) return fail(Errc::blob_unknown, digest.text() + " is not in the cache");
  }
  return {};
}

Status IndexWriter::apply(IndexUpdate& update, const Commit& commit, Batch& batch) {
  auto is_adopted = [&batch](const Digest& digest) {
    for (const Adopted& adopted : batch.adopted)
      if (adopted.digest == digest) return true;
    return false;
  };
  for (const Commit::Blob& blob : commit.blobs) {
    auto placed = placed_.find(blob.digest);
    if (placed == placed_.end() || is_adopted(blob.digest)) {
      ENTREPOT_TRY(update.touch(blob.digest));
    } else {
      ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> old, update.view().blob(blob.digest));
      ENTREPOT_TRY(update.put_blob(blob.digest, blob.size, placed->second.disk_bytes));
      // Doomed in this very transaction, its file has been replaced already.
      std::erase_if(batch.doomed,
                    [&](const Evictor::Doomed& doomed) { return doomed.digest == blob.digest; });
      batch.adopted.push_back({blob.digest, old ? std::optional(old->disk_bytes) : std::nullopt});
    }
    if (!blob.manifest_media_type.empty())
      ENTREPOT_TRY(update.put_manifest({blob.digest, blob.manifest_media_type, blob.children, blob.subject}));
  }
  for (const Commit::Link& link : commit.links) ENTREPOT_TRY(update.put_link(link));
  for (const Commit::Tag& tag : commit.tags) ENTREPOT_TRY(update.put_tag(tag));
  for (const Digest& digest : commit.pins) ENTREPOT_TRY(update.pin(digest, true));
  for (const Digest& digest : commit.unpins) ENTREPOT_TRY(update.pin(digest, false));
  for (const Commit::ImagePin& pin : commit.image_pins) ENTREPOT_TRY(update.pin_image(pin));
  for (const Commit::TagRemoval& removal : commit.tag_removals) ENTREPOT_TRY(update.remove_tag(removal));
  for (const Commit::Removal& removal : commit.removals) ENTREPOT_TRY(remove(update, removal, batch));
  return {};
}

// Files that nobody counted so far. They are counted before the row is durable: never too little.
Status IndexWriter::take_in(IndexUpdate& update, Batch& batch) {
  for (const AdoptMessage& found : batch.adoptions) {
    if (placed_.contains(found.digest)) continue;
    ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, update.view().blob(found.digest));
    if (row) continue;
    Result<std::optional<struct stat>> status = around_.blobs.status_of(found.digest);
    if (!status || !*status || static_cast<uint64_t>((*status)->st_size) != found.size) continue;
    if (!around_.blobs.sync_name(found.digest)) continue;
    around_.ledger.charge(found.disk_bytes);
    batch.charged += found.disk_bytes;
    ENTREPOT_TRY(update.put_blob(found.digest, found.size, found.disk_bytes));
    around_.logger.info("{} is taken into the index: its file is there, and right", found.digest.text());
  }
  return {};
}

Status IndexWriter::remove(IndexUpdate& update, const Commit::Removal& removal, Batch& batch) {
  ENTREPOT_TRY(update.remove_link(removal));
  ENTREPOT_TRY_ASSIGN(bool is_held, update.view().has_link(removal.digest));
  if (is_held) return {};
  ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, update.view().blob(removal.digest));
  if (!row || row->state != BlobState::committed || row->pins > 0) return {};
  ENTREPOT_TRY(update.doom(removal.digest));
  batch.doomed.push_back({removal.digest, row->disk_bytes});
  return {};
}

// The look-up that complained may have been overtaken by a new fill: asked again, of the file that is there
// now.
bool IndexWriter::is_stale(const DropMessage& drop, const BlobRow& row) const {
  Result<std::optional<struct stat>> status = around_.blobs.status_of(drop.digest);
  if (!status) return false;
  if (!*status || static_cast<uint64_t>((*status)->st_size) != row.size) return true;
  return drop.bad_inode != 0 && drop.bad_inode == (*status)->st_ino;
}

// A disk that gives errors for one file after the other has not lost them all.
bool IndexWriter::is_believed() {
  MonotonicTime now = around_.clock.monotonic();
  if (!unreadable_since_ || now - *unreadable_since_ >= kUnreadableWindow) {
    unreadable_since_ = now;
    unreadable_ = 0;
  }
  return ++unreadable_ <= kMostUnreadable;
}

void IndexWriter::finish(Batch& batch) {
  std::vector<std::pair<Digest, uint64_t>> part_names;
  for (const Adopted& adopted : batch.adopted) {
    part_names.emplace_back(adopted.digest, placed_.at(adopted.digest).generation);
    adopt(adopted);
  }
  for (size_t i = 0; i < batch.commits.size(); ++i) {
    if (!batch.outcomes[i]) withdraw_placed(batch.commits[i].commit);
    if (batch.commits[i].done) batch.commits[i].done(std::move(batch.outcomes[i]));
    can_evict_ = true;
  }
  for (const auto& [digest, generation] : part_names) {
    Status removed = around_.parts.remove(digest, generation);
    if (!removed)
      around_.logger.warn("cannot clear the part of {}: {}", digest.text(), removed.error().message);
  }
  for (const Digest& digest : evictor_.take_away(batch.doomed)) removals_.push_back(digest);
  for (auto& gone : batch.dropped) gone();
  if (batch.proven) around_.doubtful.prove_rebuilt(batch.proven->key);
}

void IndexWriter::adopt(const Adopted& adopted) {
  auto placed = placed_.find(adopted.digest);
  const std::shared_ptr<FileUse> use = placed->second.use;
  // The row answers for the file's bytes now.
  around_.ledger.recount(use->hand_over(), placed->second.disk_bytes);
  if (adopted.replaced_bytes) around_.open_files.removed(adopted.digest, *adopted.replaced_bytes);
  around_.open_files.adopt(adopted.digest, use);
  around_.blobs.settle(adopted.digest);
  around_.parts.set_committed(adopted.digest, placed->second.generation);
  placed_.erase(placed);
}

void IndexWriter::fail_all(Batch& batch, const Error& error) {
  for (CommitMessage& message : batch.commits) {
    withdraw_placed(message.commit);
    if (message.done) message.done(fail(error));
  }
  batch.commits.clear();
  batch.outcomes.clear();
  batch.adopted.clear();
  batch.doomed.clear();
  batch.dropped.clear();
}

void IndexWriter::withdraw_placed(const Commit& commit) {
  for (const Commit::Blob& blob : commit.blobs) {
    auto placed = placed_.find(blob.digest);
    if (placed == placed_.end()) continue;
    Result<std::optional<struct stat>> status = around_.blobs.status_of(blob.digest);
    Status gone = around_.blobs.withdraw(blob.digest);
    // Whatever became of its names: the digest may be fetched again.
    Status cleared = around_.parts.remove(blob.digest, placed->second.generation);
    if (!cleared)
      around_.logger.error("cannot clear the part of {}: {}", blob.digest.text(), cleared.error().message);
    if (gone) {
      placed->second.use->set_removed();
    } else {
      around_.logger.error("cannot take {} away again: {}", blob.digest.text(), gone.error().message);
      uint64_t inode = status && *status ? (*status)->st_ino : 0;
      stranded_.push_back({blob.digest, inode, placed->second.use});
    }
    placed_.erase(placed);
  }
}

// What has got a row meanwhile, or another file, is no business of ours any more.
void IndexWriter::retry_stranded() {
  std::erase_if(stranded_, [this](const Stranded& stranded) {
    Result<std::optional<struct stat>> status = around_.blobs.status_of(stranded.digest);
    if (!status) return false;
    bool is_there = *status && (*status)->st_ino == stranded.inode;
    if (is_there) {
      std::vector<Digest> gone;
      (void)around_.blobs.remove({stranded.digest}, gone);
      if (gone.empty()) return false;
    }
    stranded.use->set_removed();
    return true;
  });
}

}  // namespace entrepot::cache
