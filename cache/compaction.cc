#include "cache/compaction.h"

#include <functional>
#include <unordered_map>

#include "cache/record.h"

namespace entrepot::cache {
namespace {

constexpr uint64_t kWorthCompacting = 1u << 20;

/// Looks repositories up by id, each once.
class RepositoryNames {
 public:
  explicit RepositoryNames(IndexView view) : view_(view) {}

  /// nullptr when the index does not know it.
  Result<const Repository*> find(uint32_t id) {
    auto known = names_.find(id);
    if (known == names_.end()) {
      ENTREPOT_TRY_ASSIGN(std::optional<Repository> repository, view_.repository(id));
      known = names_.emplace(id, std::move(repository)).first;
    }
    return known->second ? &*known->second : nullptr;
  }

 private:
  IndexView view_;
  std::unordered_map<uint32_t, std::optional<Repository>> names_;
};

/// Scans a table and passes a failure of `visit` on.
Status for_each_row(const LmdbTxn& txn, Table table,
                    const std::function<Status(std::string_view, std::string_view)>& visit) {
  Status outcome;
  ENTREPOT_TRY(txn.scan(table, "", [&](std::string_view key, std::string_view value) {
    outcome = visit(key, value);
    return outcome.has_value();
  }));
  return outcome;
}

Status add_tag(RefsLog::Rewrite& log, RepositoryNames& names, std::string_view key, std::string_view value) {
  std::optional<TagRow> row = TagRow::decode(value, key);
  if (!row || key.size() < sizeof(uint32_t)) return {};
  ENTREPOT_TRY_ASSIGN(const Repository* repository, names.find(load_u32(key)));
  if (repository == nullptr) return {};
  std::string tag(key.substr(sizeof(uint32_t)));
  return log.add(
      Commit::Tag{*repository, std::move(tag), row->digest, from_milliseconds(row->checked_at_ms)});
}

Status add_link(RefsLog::Rewrite& log, RepositoryNames& names, std::string_view key, std::string_view value) {
  std::optional<LinkRow> row = LinkRow::decode(value, key);
  if (!row || key.size() < sizeof(uint32_t)) return {};
  std::string_view digest_key = key.substr(0, key.size() - sizeof(uint32_t));
  std::optional<Digest> digest = Digest::from_key(digest_key);
  ENTREPOT_TRY_ASSIGN(const Repository* repository, names.find(load_u32(key.substr(digest_key.size()))));
  if (!digest || repository == nullptr) return {};
  return log.add(Commit::Link{*repository, {*digest, row->size}});
}

Status add_manifest(RefsLog::Rewrite& log, std::string_view key, std::string_view value) {
  std::optional<ManifestRow> row = ManifestRow::decode(value, key);
  std::optional<Digest> digest = Digest::from_key(key);
  if (!row || !digest) return {};
  return log.add(ManifestEntry{*digest, std::move(row->media_type), std::move(row->children), row->subject});
}

Status add_pin(RefsLog::Rewrite& log, std::string_view key, std::string_view value) {
  std::optional<BlobRow> row = BlobRow::decode(value, key);
  std::optional<Digest> digest = Digest::from_key(key);
  if (!row || !digest || row->pins == 0) return {};
  return log.add(PinEntry{*digest, true});
}

// Of `meta`: the pins of images, and those of blobs that are not here.
Status add_kept_pin(RefsLog::Rewrite& log, std::string_view key, std::string_view value) {
  std::optional<Digest> digest = key.empty() ? std::nullopt : Digest::from_key(key.substr(1));
  if (!digest) return {};
  if (key == lost_pin_key(*digest)) return log.add(PinEntry{*digest, true});
  if (key != pin_key(*digest)) return {};
  std::optional<PinRow> row = PinRow::decode(value, key);
  return row ? log.add(Commit::ImagePin{*digest, true, from_milliseconds(row->pinned_at_ms)}) : Status();
}

}  // namespace

Status compact_refs_log(const Index& index, RefsLog& log) {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index.read());
  ENTREPOT_TRY_ASSIGN(RefsLog::Rewrite rewrite, log.rewrite());
  const LmdbTxn& txn = reader.txn();
  RepositoryNames names(reader.view());
  ENTREPOT_TRY(for_each_row(txn, Table::manifest, [&](std::string_view key, std::string_view value) {
    return add_manifest(rewrite, key, value);
  }));
  ENTREPOT_TRY(for_each_row(txn, Table::link, [&](std::string_view key, std::string_view value) {
    return add_link(rewrite, names, key, value);
  }));
  ENTREPOT_TRY(for_each_row(txn, Table::tag, [&](std::string_view key, std::string_view value) {
    return add_tag(rewrite, names, key, value);
  }));
  ENTREPOT_TRY(for_each_row(txn, Table::blob, [&](std::string_view key, std::string_view value) {
    return add_pin(rewrite, key, value);
  }));
  ENTREPOT_TRY(for_each_row(txn, Table::meta, [&](std::string_view key, std::string_view value) {
    return add_kept_pin(rewrite, key, value);
  }));
  return rewrite.finish();
}

bool is_compaction_due(const RefsLog& log) {
  const RefsLog::Position& position = log.position();
  return log.is_broken() ||
         (position.length > kWorthCompacting && position.length / 2 > position.compacted_length);
}

}  // namespace entrepot::cache
