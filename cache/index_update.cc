#include "cache/index_update.h"

#include <algorithm>

#include "cache/lock_file.h"
#include "cache/record.h"

namespace entrepot::cache {
namespace {

// A tag that is only confirmed again, as it is every minute, is not worth a line in the log each time.
constexpr int64_t kLogTagAfterMs = 3'600'000;
// A link that is among the newest does not move in the order of age.
constexpr uint64_t kLinkIsYoung = 100'000;
constexpr size_t kDroppedAtOnce = 256;

}  // namespace

Status IndexUpdate::begin() {
  ENTREPOT_TRY_ASSIGN(std::optional<StateRow> state, view().state());
  if (state) state_ = *state;
  state_.format = kFormat;
  return {};
}

Status IndexUpdate::commit() {
  ENTREPOT_TRY(txn_.put(Table::meta, kStateKey, state_.encode(kStateKey)));
  return txn_.commit();
}

void IndexUpdate::set_log_position(const RefsLog::Position& position) {
  state_.refs_generation = position.generation;
  state_.refs_length = position.length;
  state_.refs_compacted_length = position.compacted_length;
}

// The blob row, its lru row and the two sums are one thing; only these two functions change any of them.
Status IndexUpdate::put_row(const Digest& digest, const BlobRow& row) {
  std::string key = digest.key();
  ENTREPOT_TRY(txn_.put(Table::blob, key, row.encode(key)));
  state_.blob_bytes += row.disk_bytes;
  if (row.pins > 0) {
    state_.pinned_bytes += row.disk_bytes;
    if (row.state == BlobState::committed) return {};
  }
  std::string order = lru_key(row.sequence, digest);
  return txn_.put(Table::lru, order, empty_record(order));
}

Status IndexUpdate::remove_row(const Digest& digest, const BlobRow& row) {
  ENTREPOT_TRY(txn_.remove(Table::blob, digest.key()));
  ENTREPOT_TRY(txn_.remove(Table::lru, lru_key(row.sequence, digest)));
  state_.blob_bytes -= std::min(state_.blob_bytes, row.disk_bytes);
  if (row.pins > 0) state_.pinned_bytes -= std::min(state_.pinned_bytes, row.disk_bytes);
  return {};
}

Status IndexUpdate::put_blob(const Digest& digest, uint64_t size, uint64_t disk_bytes) {
  ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> old, view().blob(digest));
  if (old) ENTREPOT_TRY(remove_row(digest, *old));
  ENTREPOT_TRY_ASSIGN(bool was_lost, txn_.remove(Table::meta, lost_pin_key(digest)));
  BlobRow row{BlobState::committed, size, disk_bytes, state_.next_sequence++, old ? old->pins : 0};
  if (was_lost) row.pins = 1;
  return put_row(digest, row);
}

Status IndexUpdate::touch(const Digest& digest) {
  ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, view().blob(digest));
  if (!row || row->state != BlobState::committed) return {};
  ENTREPOT_TRY(remove_row(digest, *row));
  row->sequence = state_.next_sequence++;
  return put_row(digest, *row);
}

Status IndexUpdate::doom(const Digest& digest) {
  ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, view().blob(digest));
  if (!row || row->state != BlobState::committed) return {};
  ENTREPOT_TRY(remove_row(digest, *row));
  if (row->pins > 0) ENTREPOT_TRY(keep_pin(digest));
  row->pins = 0;
  row->state = BlobState::doomed;
  row->sequence = 0;
  return put_row(digest, *row);
}

Result<bool> IndexUpdate::remove_doomed(const Digest& digest) {
  ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, view().blob(digest));
  if (!row || row->state != BlobState::doomed) return false;
  ENTREPOT_TRY(remove_row(digest, *row));
  // What is pinned with it is found by it.
  ENTREPOT_TRY_ASSIGN(std::optional<std::string> kept_pin, txn_.get(Table::meta, lost_pin_key(digest)));
  if (kept_pin) return true;
  ENTREPOT_TRY_ASSIGN(std::optional<ManifestRow> manifest, view().manifest(digest));
  if (manifest && manifest->subject)
    ENTREPOT_TRY(txn_.remove(Table::referrer, referrer_key(*manifest->subject, digest)));
  ENTREPOT_TRY(txn_.remove(Table::manifest, digest.key()));
  return true;
}

Status IndexUpdate::put_manifest(const ManifestEntry& manifest) {
  ENTREPOT_TRY_ASSIGN(std::optional<ManifestRow> old, view().manifest(manifest.digest));
  bool is_known = old && old->media_type == manifest.media_type && old->children == manifest.children &&
                  old->subject == manifest.subject;
  if (is_known) return {};
  std::string key = manifest.digest.key();
  ENTREPOT_TRY(txn_.put(Table::manifest, key,
                        ManifestRow{manifest.media_type, manifest.children, manifest.subject}.encode(key)));
  if (manifest.subject) {
    std::string pair = referrer_key(*manifest.subject, manifest.digest);
    ENTREPOT_TRY(txn_.put(Table::referrer, pair, empty_record(pair)));
  }
  log_entries_.push_back(encode(manifest));
  return {};
}

Result<uint32_t> IndexUpdate::intern(const Repository& repository) {
  std::string name_key = repository_name_key(repository);
  if (name_key.size() > kMaxKey)
    return fail(Errc::name_invalid,
                "repository name too long to be kept: " + repository.upstream + "/" + repository.name);
  ENTREPOT_TRY_ASSIGN(std::optional<uint32_t> known, view().repository_id(repository));
  if (known) return *known;
  RepositoryRow row{state_.next_repository++, repository};
  std::string id_key = repository_id_key(row.id);
  ENTREPOT_TRY(txn_.put(Table::repo, name_key, row.encode(name_key)));
  ENTREPOT_TRY(txn_.put(Table::repo, id_key, row.encode(id_key)));
  return row.id;
}

Status IndexUpdate::remember_age(AgeKind kind, uint64_t old_age, std::string_view key) {
  if (old_age != 0) ENTREPOT_TRY(txn_.remove(Table::age, age_key(kind, old_age)));
  std::string order = age_key(kind, state_.next_age++);
  return txn_.put(Table::age, order, RecordWriter(1).text(key).finish(order));
}

Status IndexUpdate::put_tag(const Commit::Tag& tag) {
  ENTREPOT_TRY_ASSIGN(uint32_t repository, intern(tag.repository));
  ENTREPOT_TRY_ASSIGN(std::optional<TagRow> old, view().tag(repository, tag.tag));
  std::string key = tag_key(repository, tag.tag);
  int64_t checked_at = to_milliseconds(tag.checked_at);
  TagRow row{tag.digest, checked_at, checked_at, {}, state_.next_age};
  if (old && old->digest == tag.digest && checked_at >= old->logged_at_ms &&
      checked_at - old->logged_at_ms < kLogTagAfterMs) {
    row.logged_at_ms = old->logged_at_ms;
    row.etag = old->etag;
  } else {
    log_entries_.push_back(encode(tag));
  }
  if (!old) ++state_.tags;
  ENTREPOT_TRY(remember_age(AgeKind::tag, old ? old->age : 0, key));
  return txn_.put(Table::tag, key, row.encode(key));
}

Status IndexUpdate::put_link(const Commit::Link& link) {
  ENTREPOT_TRY_ASSIGN(uint32_t repository, intern(link.repository));
  const Digest& digest = link.object.digest;
  ENTREPOT_TRY_ASSIGN(std::optional<LinkRow> old, view().link(digest, repository));
  LinkRow row{link.object.size, state_.next_age};
  if (old && row.size == 0) row.size = old->size;
  bool is_news = !old || old->size != row.size;
  if (!is_news && !refreshes_links_ && state_.next_age - old->age < kLinkIsYoung) return {};
  if (is_news) log_entries_.push_back(encode(Commit::Link{link.repository, {digest, row.size}}));

  std::string key = link_key(digest, repository);
  ENTREPOT_TRY(remember_age(AgeKind::link, old ? old->age : 0, key));
  ENTREPOT_TRY(txn_.put(Table::link, key, row.encode(key)));
  if (old) return {};
  ++state_.links;
  std::string reverse = holder_key(repository, digest);
  return txn_.put(Table::holder, reverse, empty_record(reverse));
}

Result<bool> IndexUpdate::drop_oldest(AgeKind kind) {
  std::string order;
  std::string record;
  ENTREPOT_TRY(txn_.scan(Table::age, age_key(kind, 0), [&](std::string_view key, std::string_view value) {
    order = key;
    record = value;
    return false;
  }));
  if (order.empty() || order[0] != static_cast<char>(kind)) return false;
  ENTREPOT_TRY(txn_.remove(Table::age, order));
  std::optional<RecordReader> reader = RecordReader::open(record, order, 1);
  if (!reader) return true;
  std::string key = reader->text();
  ENTREPOT_TRY_ASSIGN(bool was_there, txn_.remove(kind == AgeKind::tag ? Table::tag : Table::link, key));
  if (!was_there) return true;
  if (kind == AgeKind::tag) {
    --state_.tags;
    return true;
  }
  --state_.links;
  std::string_view digest_key = std::string_view(key).substr(0, key.size() - sizeof(uint32_t));
  std::optional<Digest> digest = Digest::from_key(digest_key);
  uint32_t repository = load_u32(std::string_view(key).substr(digest_key.size()));
  if (digest) ENTREPOT_TRY(txn_.remove(Table::holder, holder_key(repository, *digest)));
  return true;
}

Status IndexUpdate::age_out(const Caps& caps) {
  for (size_t i = 0; i < kDroppedAtOnce; ++i) {
    bool has_dropped = false;
    if (state_.tags > caps.tags) {
      ENTREPOT_TRY_ASSIGN(has_dropped, drop_oldest(AgeKind::tag));
    }
    if (state_.links > caps.links) {
      ENTREPOT_TRY_ASSIGN(bool has_dropped_link, drop_oldest(AgeKind::link));
      has_dropped = has_dropped || has_dropped_link;
    }
    if (!has_dropped) return {};
  }
  return {};
}

Result<std::vector<IndexUpdate::Candidate>> IndexUpdate::least_recently_used(size_t count) {
  std::vector<std::string> oldest;
  std::string first_committed;
  append_u64(first_committed, 1);
  ENTREPOT_TRY(txn_.scan(Table::lru, first_committed, [&](std::string_view key, std::string_view) {
    oldest.emplace_back(key);
    return oldest.size() < count;
  }));
  std::vector<Candidate> candidates;
  for (const std::string& key : oldest) {
    std::optional<Digest> digest = Digest::from_key(std::string_view(key).substr(sizeof(uint64_t)));
    if (digest) {
      ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, view().blob(*digest));
      bool is_true =
          row && row->state == BlobState::committed && row->sequence == load_u64(key) && row->pins == 0;
      if (is_true) candidates.push_back({*digest, *row});
      if (is_true) continue;
    }
    ENTREPOT_TRY(txn_.remove(Table::lru, key));
  }
  return candidates;
}

Result<std::vector<Digest>> IndexUpdate::doomed() const {
  std::vector<Digest> doomed;
  ENTREPOT_TRY(txn_.scan(Table::lru, "", [&](std::string_view key, std::string_view) {
    if (key.size() < sizeof(uint64_t) || load_u64(key) != 0) return false;
    if (std::optional<Digest> digest = Digest::from_key(key.substr(sizeof(uint64_t))))
      doomed.push_back(*digest);
    return true;
  }));
  return doomed;
}

}  // namespace entrepot::cache
