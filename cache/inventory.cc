#include "cache/inventory.h"

#include <fnmatch.h>

#include <algorithm>
#include <unordered_set>

#include "cache/closure.h"
#include "cache/record.h"
#include "cache/refs_log.h"

namespace entrepot::cache {
namespace {

bool fits(const std::string& glob, const std::string& text) {
  return glob.empty() || ::fnmatch(glob.c_str(), text.c_str(), 0) == 0;
}

bool selects(const ImageSelection& wanted, const Repository& repository) {
  if (!wanted.upstream.empty() && wanted.upstream != repository.upstream) return false;
  return fits(wanted.repository, repository.name);
}

bool selects(const ImageSelection& wanted, const ImageName& name, const Digest& manifest) {
  if (!wanted.tag.empty() && (name.tag.empty() || !fits(wanted.tag, name.tag))) return false;
  return !wanted.digest || *wanted.digest == manifest;
}

/// The sequence of use as a time.
class Times {
 public:
  static Result<Times> read(const LmdbTxn& txn) {
    Times times;
    ENTREPOT_TRY(txn.scan(Table::meta, kTimePrefix, [&](std::string_view key, std::string_view value) {
      if (!key.starts_with(kTimePrefix)) return false;
      std::optional<TimeRow> row = TimeRow::decode(value, key);
      key.remove_prefix(kTimePrefix.size());
      if (row && key.size() == sizeof(uint64_t)) times.marks_.emplace_back(load_u64(key), row->at_ms);
      return true;
    }));
    return times;
  }

  std::optional<WallTime> at(uint64_t sequence) const {
    auto later = std::ranges::upper_bound(marks_, sequence, {}, &std::pair<uint64_t, int64_t>::first);
    if (later == marks_.begin()) return std::nullopt;
    return from_milliseconds(std::prev(later)->second);
  }

 private:
  std::vector<std::pair<uint64_t, int64_t>> marks_;  // ascending
};

struct TagEntry {
  std::string tag;
  TagRow row;
};

/// The tags of a repository behind `after`, at most `most`.
Result<std::vector<TagEntry>> tags_of(const LmdbTxn& txn, uint32_t id, const std::string& after,
                                      size_t most) {
  const std::string prefix = tag_key(id, {});
  std::vector<TagEntry> tags;
  ENTREPOT_TRY(txn.scan(Table::tag, tag_key(id, after), [&](std::string_view key, std::string_view value) {
    if (!key.starts_with(prefix) || tags.size() >= most) return false;
    std::optional<TagRow> row = TagRow::decode(value, key);
    key.remove_prefix(prefix.size());
    bool is_there = row && row->checked_at_ms != 0;  // else the upstream has said that there is none
    if (is_there && key != after) tags.push_back({std::string(key), std::move(*row)});
    return true;
  }));
  return tags;
}

/// What a repository has a link to, in the order of the digests' keys.
Result<std::vector<Digest>> held_by(const LmdbTxn& txn, uint32_t id) {
  std::string prefix;
  append_u32(prefix, id);
  std::vector<Digest> held;
  ENTREPOT_TRY(txn.scan(Table::holder, prefix, [&](std::string_view key, std::string_view) {
    if (!key.starts_with(prefix)) return false;
    key.remove_prefix(prefix.size());
    if (std::optional<Digest> digest = Digest::from_key(key)) held.push_back(*digest);
    return true;
  }));
  return held;
}

Result<bool> is_pinned_image(const LmdbTxn& txn, const Digest& digest) {
  ENTREPOT_TRY_ASSIGN(std::optional<std::string> pin, txn.get(Table::meta, pin_key(digest)));
  return pin.has_value();
}

/// Whether it is pinned, with whatever image; also what is not here.
Result<bool> is_pinned_blob(const Index::Reader& reader, const Digest& digest) {
  ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, reader.view().blob(digest));
  if (row && row->pins > 0) return true;
  ENTREPOT_TRY_ASSIGN(std::optional<std::string> kept, reader.txn().get(Table::meta, lost_pin_key(digest)));
  return kept.has_value();
}

/// Manifests that are here and that neither a tag nor another manifest of the repository names; and those
/// that are pinned and have no tag.
Result<std::vector<Digest>> untagged(const Index::Reader& reader, uint32_t id) {
  ENTREPOT_TRY_ASSIGN(std::vector<Digest> held, held_by(reader.txn(), id));
  ENTREPOT_TRY_ASSIGN(std::vector<TagEntry> tags, tags_of(reader.txn(), id, "", SIZE_MAX));
  std::unordered_set<Digest, DigestHash> tagged;
  std::unordered_set<Digest, DigestHash> named;
  for (const TagEntry& tag : tags) tagged.insert(tag.row.digest);
  std::vector<Digest> manifests;
  for (const Digest& digest : held) {
    ENTREPOT_TRY_ASSIGN(std::optional<ManifestRow> manifest, reader.view().manifest(digest));
    ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> blob, reader.view().blob(digest));
    ENTREPOT_TRY_ASSIGN(bool is_pinned, is_pinned_image(reader.txn(), digest));
    bool is_here = blob && blob->state == BlobState::committed;
    if (!is_pinned && (!manifest || !is_here)) continue;
    manifests.push_back(digest);
    if (!manifest) continue;
    named.insert(manifest->children.begin(), manifest->children.end());
  }
  std::vector<Digest> roots;
  for (const Digest& digest : manifests) {
    ENTREPOT_TRY_ASSIGN(bool is_pinned, is_pinned_image(reader.txn(), digest));
    bool is_tagged = tagged.contains(digest);
    if (!is_tagged && (is_pinned || !named.contains(digest))) roots.push_back(digest);
  }
  return roots;
}

Result<Image> describe(const Index::Reader& reader, const Times& times, ImageName name,
                       const Digest& digest) {
  Image image{.name = std::move(name), .manifest = digest, .media_type = {}};
  ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> blob, reader.view().blob(digest));
  bool is_here = blob && blob->state == BlobState::committed;
  if (is_here) image.used_at = times.at(blob->sequence);
  ENTREPOT_TRY_ASSIGN(std::optional<ManifestRow> manifest, reader.view().manifest(digest));
  if (is_here && manifest) image.media_type = manifest->media_type;
  Closure closure(reader.view());
  ENTREPOT_TRY(closure.add(digest));
  image.blobs = closure.here().size();
  image.missing = closure.missing();
  image.bytes = closure.bytes();
  ENTREPOT_TRY_ASSIGN(image.is_pinned, is_pinned_image(reader.txn(), digest));
  return image;
}

struct Wanted {
  const ImageSelection& selection;
  const Repository& repository;
  uint32_t id;
};

/// The images of one repository behind `after`: tags first, then what has none.
Status add_images(const Index::Reader& reader, const Times& times, const Wanted& wanted,
                  const std::optional<ImageName>& after, size_t most, std::vector<Image>& images) {
  auto add = [&](ImageName name, const Digest& digest) -> Status {
    if (!selects(wanted.selection, name, digest)) return {};
    ENTREPOT_TRY_ASSIGN(Image image, describe(reader, times, std::move(name), digest));
    images.push_back(std::move(image));
    return {};
  };
  if (!after || !after->manifest) {
    for (std::string from = after ? after->tag : "";;) {
      ENTREPOT_TRY_ASSIGN(std::vector<TagEntry> tags, tags_of(reader.txn(), wanted.id, from, most));
      if (tags.empty()) break;
      from = tags.back().tag;
      for (TagEntry& entry : tags) {
        ImageName name{wanted.repository, std::move(entry.tag), std::nullopt};
        size_t before = images.size();
        ENTREPOT_TRY(add(std::move(name), entry.row.digest));
        if (images.size() > before) images.back().checked_at = from_milliseconds(entry.row.checked_at_ms);
        if (images.size() >= most) return {};
      }
    }
  }
  if (!wanted.selection.tag.empty()) return {};
  ENTREPOT_TRY_ASSIGN(std::vector<Digest> manifests, untagged(reader, wanted.id));
  for (const Digest& digest : manifests) {
    bool is_behind = !after || !after->manifest || after->manifest->key() < digest.key();
    if (is_behind) ENTREPOT_TRY(add(ImageName{wanted.repository, {}, digest}, digest));
    if (images.size() >= most) return {};
  }
  return {};
}

Result<std::optional<RepositoryRow>> next_of(const LmdbTxn& txn, const ImageSelection& wanted,
                                             std::string from, bool is_behind) {
  const std::string first = from;
  std::optional<RepositoryRow> found;
  ENTREPOT_TRY(txn.scan(Table::repo, from, [&](std::string_view key, std::string_view value) {
    if (!key.starts_with("n")) return false;
    if (is_behind && key == first) return true;
    std::optional<RepositoryRow> row = RepositoryRow::decode(value, key);
    if (!row || !selects(wanted, row->repository)) return true;
    found = std::move(row);
    return false;
  }));
  return found;
}

}  // namespace

std::string ImageName::text() const {
  std::string text = repository.upstream + '/' + repository.name;
  return tag.empty() && manifest ? text + '@' + manifest->text() : text + ':' + tag;
}

Result<std::vector<Image>> Inventory::list(const ImageSelection& wanted,
                                           const std::optional<ImageName>& after, size_t most) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index_.read());
  ENTREPOT_TRY_ASSIGN(Times times, Times::read(reader.txn()));
  std::vector<Image> images;
  std::string from = after ? repository_name_key(after->repository) : "n";
  for (bool is_behind = false; images.size() < most; is_behind = true) {
    ENTREPOT_TRY_ASSIGN(std::optional<RepositoryRow> row, next_of(reader.txn(), wanted, from, is_behind));
    if (!row) break;
    from = repository_name_key(row->repository);
    bool is_under_way = after && after->repository == row->repository;
    ENTREPOT_TRY(add_images(reader, times, {wanted, row->repository, row->id},
                            is_under_way ? after : std::nullopt, most, images));
  }
  return images;
}

Result<CacheTotals> Inventory::totals() const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index_.read());
  CacheTotals totals;
  ENTREPOT_TRY_ASSIGN(totals.blobs, reader.txn().count(Table::blob));
  ENTREPOT_TRY_ASSIGN(totals.manifests, reader.txn().count(Table::manifest));
  ENTREPOT_TRY_ASSIGN(totals.tags, reader.txn().count(Table::tag));
  ENTREPOT_TRY_ASSIGN(totals.links, reader.txn().count(Table::link));
  ENTREPOT_TRY_ASSIGN(uint64_t repository_rows, reader.txn().count(Table::repo));
  totals.repositories = repository_rows / 2;
  ENTREPOT_TRY_ASSIGN(std::optional<StateRow> state, reader.view().state());
  if (state) {
    totals.blob_bytes = state->blob_bytes;
    totals.pinned_bytes = state->pinned_bytes;
  }
  ENTREPOT_TRY(reader.txn().scan(Table::meta, kPinPrefix, [&](std::string_view key, std::string_view) {
    if (!key.starts_with(kPinPrefix)) return false;
    ++totals.pinned_images;
    return true;
  }));
  return totals;
}

Result<std::optional<Repository>> Inventory::next_repository(const ImageSelection& wanted,
                                                             const std::optional<Repository>& after) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index_.read());
  std::string from = after ? repository_name_key(*after) : "n";
  ENTREPOT_TRY_ASSIGN(std::optional<RepositoryRow> row,
                      next_of(reader.txn(), wanted, std::move(from), after.has_value()));
  if (!row) return std::optional<Repository>();
  return std::optional<Repository>(std::move(row->repository));
}

// What other images of the repository need stays; but what is named itself goes.
Result<Inventory::Purge> Inventory::find_purge(const Repository& repository,
                                               const ImageSelection& wanted) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index_.read());
  ENTREPOT_TRY_ASSIGN(Times times, Times::read(reader.txn()));
  Purge purge;
  ENTREPOT_TRY_ASSIGN(std::optional<uint32_t> id, reader.view().repository_id(repository));
  if (!id) return purge;
  std::vector<Image> all;
  const ImageSelection everything;
  ENTREPOT_TRY(add_images(reader, times, {everything, repository, *id}, std::nullopt, SIZE_MAX, all));
  Closure kept(reader.view());
  Closure going(reader.view());
  for (Image& image : all) {
    bool is_selected = selects(wanted, image.name, image.manifest);
    bool goes = is_selected && !image.is_pinned;
    ENTREPOT_TRY((goes ? going : kept).add(image.manifest));
    ENTREPOT_TRY_ASSIGN(bool is_needed, is_pinned_blob(reader, image.manifest));
    if (goes && !is_needed && !image.name.tag.empty()) purge.tags.push_back({repository, image.name.tag});
    if (is_selected) (goes ? purge.images : purge.pinned).push_back(std::move(image));
  }
  bool is_whole = wanted.tag.empty() && !wanted.digest;
  ENTREPOT_TRY_ASSIGN(std::optional<StateRow> state, reader.view().state());
  if (wanted.digest) ENTREPOT_TRY(going.add(*wanted.digest));
  ENTREPOT_TRY_ASSIGN(std::vector<Digest> held, held_by(reader.txn(), *id));
  for (const Digest& digest : held) {
    bool is_named = wanted.digest == digest;
    bool goes = is_named || ((is_whole || going.contains(digest)) && !kept.contains(digest));
    if (!goes) continue;
    // Its bytes would stay, and nobody could be given them.
    ENTREPOT_TRY_ASSIGN(bool is_pinned, is_pinned_blob(reader, digest));
    if (!is_pinned) purge.removals.push_back({repository, digest, state ? state->next_age : UINT64_MAX});
    bool is_told = !purge.pinned.empty() || !is_pinned || !is_named;
    if (!is_told)
      purge.pinned.push_back({.name = {repository, {}, digest}, .manifest = digest, .media_type = {}});
  }
  return purge;
}

Result<Inventory::Freed> Inventory::find_freed(const std::vector<Commit::Removal>& removals,
                                               RemovedLinks& removed) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index_.read());
  Freed freed;
  for (const Commit::Removal& removal : removals) {
    ENTREPOT_TRY_ASSIGN(std::optional<uint32_t> id, reader.view().repository_id(removal.repository));
    if (!id) continue;
    removed.emplace(removal.digest, *id);
    const std::string prefix = removal.digest.key();
    bool is_held = false;
    ENTREPOT_TRY(reader.txn().scan(Table::link, prefix, [&](std::string_view key, std::string_view) {
      if (!key.starts_with(prefix)) return false;
      key.remove_prefix(prefix.size());
      is_held = key.size() == sizeof(uint32_t) && !removed.contains({removal.digest, load_u32(key)});
      return !is_held;
    }));
    ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, reader.view().blob(removal.digest));
    if (is_held || !row || row->state != BlobState::committed || row->pins > 0) continue;
    ++freed.blobs;
    freed.disk_bytes += row->disk_bytes;
  }
  return freed;
}

Result<Inventory::Pin> Inventory::find_pin(const Image& image) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index_.read());
  Closure closure(reader.view());
  ENTREPOT_TRY(closure.add(image.manifest));
  ENTREPOT_TRY(closure.add_referrers(reader.txn()));
  return Pin{closure.here(), closure.bytes(), closure.missing()};
}

Result<std::vector<Digest>> Inventory::find_unpin(const Digest& manifest) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index_.read());
  std::vector<Digest> others;
  std::vector<Digest> pinned;  // and not here
  ENTREPOT_TRY(reader.txn().scan(Table::meta, "", [&](std::string_view key, std::string_view) {
    std::optional<Digest> digest = key.empty() ? std::nullopt : Digest::from_key(key.substr(1));
    if (digest && key == pin_key(*digest) && *digest != manifest) others.push_back(*digest);
    if (digest && key == lost_pin_key(*digest)) pinned.push_back(*digest);
    return true;
  }));
  ENTREPOT_TRY(reader.txn().scan(Table::blob, "", [&](std::string_view key, std::string_view value) {
    std::optional<BlobRow> row = BlobRow::decode(value, key);
    std::optional<Digest> digest = Digest::from_key(key);
    if (row && digest && row->pins > 0) pinned.push_back(*digest);
    return true;
  }));
  Closure own(reader.view());
  ENTREPOT_TRY(own.add(manifest));
  ENTREPOT_TRY(own.add_referrers(reader.txn()));
  Closure needed(reader.view());
  for (const Digest& other : others) ENTREPOT_TRY(needed.add(other));
  ENTREPOT_TRY(needed.add_referrers(reader.txn()));
  // With the last image everything goes: also what has meanwhile ceased to refer to it.
  bool is_last = others.empty();
  std::erase_if(pinned, [&](const Digest& digest) {
    return needed.contains(digest) || !(is_last || own.contains(digest));
  });
  return pinned;
}

}  // namespace entrepot::cache
