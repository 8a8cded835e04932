// Pins, removals, runs and the times of use: what IndexUpdate does for those who look after the cache.

#include "cache/index_update.h"
#include "cache/record.h"

namespace entrepot::cache {

Status IndexUpdate::pin(const Digest& digest, bool is_pinned) {
  ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, view().blob(digest));
  if (!row || row->state != BlobState::committed) {
    ENTREPOT_TRY_ASSIGN(bool was_kept, txn_.remove(Table::meta, lost_pin_key(digest)));
    if (is_pinned != was_kept) log_entries_.push_back(encode(PinEntry{digest, is_pinned}));
    return is_pinned ? keep_pin(digest) : Status();
  }
  if ((row->pins > 0) == is_pinned) return {};
  ENTREPOT_TRY(remove_row(digest, *row));
  row->pins = is_pinned ? 1 : 0;
  row->sequence = state_.next_sequence++;
  log_entries_.push_back(encode(PinEntry{digest, is_pinned}));
  return put_row(digest, *row);
}

Status IndexUpdate::keep_pin(const Digest& digest) {
  std::string key = lost_pin_key(digest);
  return txn_.put(Table::meta, key, empty_record(key));
}

Status IndexUpdate::pin_image(const Commit::ImagePin& pin) {
  std::string key = pin_key(pin.manifest);
  log_entries_.push_back(encode(pin));
  if (pin.is_pinned) return txn_.put(Table::meta, key, PinRow{to_milliseconds(pin.at)}.encode(key));
  ENTREPOT_TRY(txn_.remove(Table::meta, key));
  return {};
}

Status IndexUpdate::remove_tag(const Commit::TagRemoval& removal) {
  ENTREPOT_TRY_ASSIGN(std::optional<uint32_t> repository, view().repository_id(removal.repository));
  if (!repository) return {};
  ENTREPOT_TRY_ASSIGN(std::optional<TagRow> row, view().tag(*repository, removal.tag));
  ENTREPOT_TRY_ASSIGN(bool was_there, txn_.remove(Table::tag, tag_key(*repository, removal.tag)));
  if (!was_there) return {};
  if (row) ENTREPOT_TRY(txn_.remove(Table::age, age_key(AgeKind::tag, row->age)));
  --state_.tags;
  log_entries_.push_back(encode(removal));
  return {};
}

Status IndexUpdate::remove_link(const Commit::Removal& removal) {
  ENTREPOT_TRY_ASSIGN(std::optional<uint32_t> repository, view().repository_id(removal.repository));
  if (!repository) return {};
  ENTREPOT_TRY_ASSIGN(std::optional<LinkRow> row, view().link(removal.digest, *repository));
  if (row && row->age >= removal.before_age) return {};
  ENTREPOT_TRY_ASSIGN(bool was_there, txn_.remove(Table::link, link_key(removal.digest, *repository)));
  if (!was_there) return {};
  if (row) ENTREPOT_TRY(txn_.remove(Table::age, age_key(AgeKind::link, row->age)));
  ENTREPOT_TRY(txn_.remove(Table::holder, holder_key(*repository, removal.digest)));
  --state_.links;
  log_entries_.push_back(encode(removal));
  return {};
}

// A mark that is older than all that may still be asked about tells nothing more than the next one does.
Status IndexUpdate::mark_time(WallTime now) {
  std::string key = time_key(state_.next_sequence);
  ENTREPOT_TRY(txn_.put(Table::meta, key, TimeRow{to_milliseconds(now)}.encode(key)));
  std::string first_committed;
  append_u64(first_committed, 1);
  uint64_t oldest = state_.next_sequence;
  ENTREPOT_TRY(txn_.scan(Table::lru, first_committed, [&](std::string_view order, std::string_view) {
    oldest = load_u64(order);
    return false;
  }));
  std::vector<std::string> marks;
  ENTREPOT_TRY(txn_.scan(Table::meta, kTimePrefix, [&](std::string_view mark, std::string_view) {
    bool is_old = mark.starts_with(kTimePrefix) && mark.size() == key.size() && mark <= time_key(oldest);
    if (is_old) marks.emplace_back(mark);
    return is_old && marks.size() < 4;
  }));
  for (size_t i = 0; i + 1 < marks.size(); ++i) ENTREPOT_TRY(txn_.remove(Table::meta, marks[i]));
  return {};
}

Result<std::optional<WallTime>> IndexUpdate::begin_run(WallTime now) {
  ENTREPOT_TRY_ASSIGN(std::optional<std::string> record, txn_.get(Table::meta, kUncleanKey));
  std::optional<TimeRow> since = record ? TimeRow::decode(*record, kUncleanKey) : std::nullopt;
  if (since) return std::optional<WallTime>(from_milliseconds(since->at_ms));
  ENTREPOT_TRY(txn_.put(Table::meta, kUncleanKey, TimeRow{to_milliseconds(now)}.encode(kUncleanKey)));
  // A row that cannot be read may be of any time.
  return record ? std::optional<WallTime>(WallTime{}) : std::nullopt;
}

Status IndexUpdate::set_rebuilt(const std::optional<RebuiltRow>& row) {
  if (row) return txn_.put(Table::meta, kRebuiltKey, row->encode(kRebuiltKey));
  ENTREPOT_TRY(txn_.remove(Table::meta, kRebuiltKey));
  return {};
}

}  // namespace entrepot::cache
