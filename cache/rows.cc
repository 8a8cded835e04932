#include "cache/rows.h"

#include "cache/record.h"

namespace entrepot::cache {
namespace {

constexpr uint8_t kVersion = 1;
// The state row's version never changes, so that every program can read the format in it.
constexpr uint8_t kStateVersion = 1;

}  // namespace

std::string BlobRow::encode(std::string_view key) const {
  RecordWriter writer(kVersion);
  writer.u8(static_cast<uint8_t>(state)).u64(size).u64(disk_bytes).u64(sequence).u32(pins);
  return writer.finish(key);
}

std::optional<BlobRow> BlobRow::decode(std::string_view record, std::string_view key) {
  auto reader = RecordReader::open(record, key, kVersion);
  if (!reader) return std::nullopt;
  BlobRow row;
  row.state = static_cast<BlobState>(reader->u8());
  row.size = reader->u64();
  row.disk_bytes = reader->u64();
  row.sequence = reader->u64();
  row.pins = reader->u32();
  bool is_known = row.state == BlobState::committed || row.state == BlobState::doomed;
  if (!reader->is_complete() || !is_known) return std::nullopt;
  return row;
}

std::string ManifestRow::encode(std::string_view key) const {
  RecordWriter writer(kVersion);
  writer.text(media_type).u32(static_cast<uint32_t>(children.size()));
  for (const Digest& child : children) writer.digest(child);
  if (subject) writer.digest(*subject);
  return writer.finish(key);
}

std::optional<ManifestRow> ManifestRow::decode(std::string_view record, std::string_view key) {
  auto reader = RecordReader::open(record, key, kVersion);
  if (!reader) return std::nullopt;
  ManifestRow row;
  row.media_type = reader->text();
  uint32_t count = reader->u32();
  for (uint32_t i = 0; i < count; ++i) {
    std::optional<Digest> child = reader->digest();
    if (!child) return std::nullopt;
    row.children.push_back(*child);
  }
  if (!reader->is_complete()) {
    row.subject = reader->digest();
    if (!row.subject || !reader->is_complete()) return std::nullopt;
  }
  return row;
}

std::string TagRow::encode(std::string_view key) const {
  RecordWriter writer(kVersion);
  writer.digest(digest).u64(static_cast<uint64_t>(checked_at_ms)).u64(static_cast<uint64_t>(logged_at_ms));
  writer.text(etag).u64(age);
  return writer.finish(key);
}

std::optional<TagRow> TagRow::decode(std::string_view record, std::string_view key) {
  auto reader = RecordReader::open(record, key, kVersion);
  if (!reader) return std::nullopt;
  std::optional<Digest> digest = reader->digest();
  if (!digest) return std::nullopt;
  TagRow row{*digest, 0, 0, {}, 0};
  row.checked_at_ms = static_cast<int64_t>(reader->u64());
  row.logged_at_ms = static_cast<int64_t>(reader->u64());
  row.etag = reader->text();
  row.age = reader->u64();
  if (!reader->is_complete()) return std::nullopt;
  return row;
}

std::string LinkRow::encode(std::string_view key) const {
  return RecordWriter(kVersion).u64(size).u64(age).finish(key);
}

std::optional<LinkRow> LinkRow::decode(std::string_view record, std::string_view key) {
  auto reader = RecordReader::open(record, key, kVersion);
  if (!reader) return std::nullopt;
  LinkRow row;
  row.size = reader->u64();
  row.age = reader->u64();
  if (!reader->is_complete()) return std::nullopt;
  return row;
}

std::string RepositoryRow::encode(std::string_view key) const {
  return RecordWriter(kVersion).u32(id).text(repository.upstream).text(repository.name).finish(key);
}

std::optional<RepositoryRow> RepositoryRow::decode(std::string_view record, std::string_view key) {
  auto reader = RecordReader::open(record, key, kVersion);
  if (!reader) return std::nullopt;
  RepositoryRow row;
  row.id = reader->u32();
  row.repository.upstream = reader->text();
  row.repository.name = reader->text();
  if (!reader->is_complete()) return std::nullopt;
  return row;
}

std::string TimeRow::encode(std::string_view key) const {
  return RecordWriter(kVersion).u64(static_cast<uint64_t>(at_ms)).finish(key);
}

std::optional<TimeRow> TimeRow::decode(std::string_view record, std::string_view key) {
  auto reader = RecordReader::open(record, key, kVersion);
  if (!reader) return std::nullopt;
  TimeRow row{static_cast<int64_t>(reader->u64())};
  if (!reader->is_complete()) return std::nullopt;
  return row;
}

std::string RebuiltRow::encode(std::string_view key) const {
  return RecordWriter(kVersion).u64(static_cast<uint64_t>(until_ms)).text(from).finish(key);
}

std::optional<RebuiltRow> RebuiltRow::decode(std::string_view record, std::string_view key) {
  auto reader = RecordReader::open(record, key, kVersion);
  if (!reader) return std::nullopt;
  RebuiltRow row;
  row.until_ms = static_cast<int64_t>(reader->u64());
  row.from = reader->text();
  if (!reader->is_complete()) return std::nullopt;
  return row;
}

std::string PinRow::encode(std::string_view key) const {
  return RecordWriter(kVersion).u64(static_cast<uint64_t>(pinned_at_ms)).finish(key);
}

std::optional<PinRow> PinRow::decode(std::string_view record, std::string_view key) {
  auto reader = RecordReader::open(record, key, kVersion);
  if (!reader) return std::nullopt;
  PinRow row{static_cast<int64_t>(reader->u64())};
  if (!reader->is_complete()) return std::nullopt;
  return row;
}

std::string StateRow::encode(std::string_view key) const {
  RecordWriter writer(kStateVersion);
  writer.u32(format).u8(is_complete ? 1 : 0).u64(next_sequence).u64(next_age).u32(next_repository);
  writer.u64(blob_bytes).u64(pinned_bytes).u64(tags).u64(links).u64(refs_generation).u64(refs_length);
  writer.u64(refs_compacted_length);
  return writer.finish(key);
}

std::optional<StateRow> StateRow::decode(std::string_view record, std::string_view key) {
  auto reader = RecordReader::open(record, key, kStateVersion);
  if (!reader) return std::nullopt;
  StateRow row;
  row.format = reader->u32();
  if (row.format > 1) return row;
  row.is_complete = reader->u8() != 0;
  row.next_sequence = reader->u64();
  row.next_age = reader->u64();
  row.next_repository = reader->u32();
  row.blob_bytes = reader->u64();
  row.pinned_bytes = reader->u64();
  row.tags = reader->u64();
  row.links = reader->u64();
  row.refs_generation = reader->u64();
  row.refs_length = reader->u64();
  row.refs_compacted_length = reader->u64();
  if (!reader->is_complete()) return std::nullopt;
  return row;
}

std::string repository_name_key(const Repository& repository) {
  std::string key = "n" + repository.upstream;
  key += '\0';
  return key + repository.name;
}

std::string repository_id_key(uint32_t id) {
  std::string key = "i";
  append_u32(key, id);
  return key;
}

std::string lru_key(uint64_t sequence, const Digest& digest) {
  std::string key;
  append_u64(key, sequence);
  return key + digest.key();
}

std::string tag_key(uint32_t repository, std::string_view tag) {
  std::string key;
  append_u32(key, repository);
  return key.append(tag);
}

std::string link_key(const Digest& digest, uint32_t repository) {
  std::string key = digest.key();
  append_u32(key, repository);
  return key;
}

std::string holder_key(uint32_t repository, const Digest& digest) {
  std::string key;
  append_u32(key, repository);
  return key + digest.key();
}

std::string time_key(uint64_t sequence) {
  std::string key(kTimePrefix);
  append_u64(key, sequence);
  return key;
}

std::string pin_key(const Digest& digest) { return std::string(kPinPrefix) + digest.key(); }
std::string lost_pin_key(const Digest& digest) { return "l" + digest.key(); }

std::string referrer_key(const Digest& subject, const Digest& referrer) {
  return subject.key() + referrer.key();
}

std::string age_key(AgeKind kind, uint64_t age) {
  std::string key(1, static_cast<char>(kind));
  append_u64(key, age);
  return key;
}

std::string empty_record(std::string_view key) { return RecordWriter(kVersion).finish(key); }

}  // namespace entrepot::cache
