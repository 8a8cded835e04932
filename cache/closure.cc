#include "cache/closure.h"

#include "cache/record.h"

namespace entrepot::cache {
namespace {

// Of the Referrers Tag Schema.
constexpr size_t kMaxAlgorithm = 32;
constexpr size_t kMaxHex = 64;

}  // namespace

Status Closure::add(const Digest& digest) {
  std::vector<Digest> to_do;
  if (seen_.insert(digest).second) to_do.push_back(digest);
  while (!to_do.empty()) {
    Digest next = to_do.back();
    to_do.pop_back();
    ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> blob, view_.blob(next));
    if (blob && blob->state == BlobState::committed) {
      here_.push_back(next);
      bytes_ += blob->size;
    }
    // Of a pinned manifest that was damaged the row is still there.
    ENTREPOT_TRY_ASSIGN(std::optional<ManifestRow> manifest, view_.manifest(next));
    if (!manifest) continue;
    for (const Digest& child : manifest->children)
      if (seen_.insert(child).second) to_do.push_back(child);
  }
  return {};
}

Status Closure::add_referrers(const LmdbTxn& txn) {
  // `here_` grows meanwhile: a referrer may have referrers.
  for (size_t i = 0; i < here_.size(); ++i) {
    ENTREPOT_TRY_ASSIGN(std::optional<ManifestRow> manifest, view_.manifest(here_[i]));
    if (!manifest) continue;
    ENTREPOT_TRY_ASSIGN(std::vector<Digest> referrers, referrers_of(txn, here_[i]));
    for (const Digest& referrer : referrers) ENTREPOT_TRY(add(referrer));
  }
  return {};
}

Result<std::vector<Digest>> Closure::referrers_of(const LmdbTxn& txn, const Digest& subject) const {
  ENTREPOT_TRY_ASSIGN(std::vector<Digest> referrers, view_.referrers(subject));
  const std::string prefix = subject.key();
  std::vector<uint32_t> holders;
  ENTREPOT_TRY(txn.scan(Table::link, prefix, [&](std::string_view key, std::string_view) {
    if (!key.starts_with(prefix)) return false;
    key.remove_prefix(prefix.size());
    if (key.size() == sizeof(uint32_t)) holders.push_back(load_u32(key));
    return true;
  }));
  // The distribution-spec v1.1 cuts both halves: the tag of a long digest would be too long.
  std::string tag = std::string(name_of(subject.algorithm())).substr(0, kMaxAlgorithm) + '-' +
                    subject.hex().substr(0, kMaxHex);
  for (uint32_t repository : holders) {
    ENTREPOT_TRY_ASSIGN(std::optional<TagRow> row, view_.tag(repository, tag));
    if (row && row->checked_at_ms != 0) referrers.push_back(row->digest);
  }
  return referrers;
}

}  // namespace entrepot::cache
