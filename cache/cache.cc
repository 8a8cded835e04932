#include "cache/cache.h"

#include <fmt/core.h>

#include <future>

#include "cache/cache_state.h"
#include "cache/files.h"
#include "cache/inventory.h"
#include "cache/part_file.h"
#include "cache/verify.h"

namespace entrepot::cache {
namespace {

constexpr uint64_t kMaxManifest = 4u << 20;

}  // namespace

Result<std::unique_ptr<Cache>> Cache::open(Options options, const Clock& clock, Logger& logger,
                                           Metrics& metrics) {
  auto state = std::make_unique<State>(options, clock, logger);
  Status started = state->start(metrics);
  if (!started && started.error().code == Errc::cache_corrupt && !options.is_rebuild) {
    logger.warn("the index cannot be used, and is made anew: {}", started.error().message);
    options.is_rebuild = true;
    state.reset();
    state = std::make_unique<State>(options, clock, logger);
    started = state->start(metrics);
  }
  if (!started) return fail(std::move(started).error());
  return std::unique_ptr<Cache>(new Cache(std::move(state)));
}

Cache::Cache(std::unique_ptr<State> state) : state_(std::move(state)) {}
Cache::~Cache() = default;

Result<std::optional<FoundBlob>> Cache::find_blob(const Repository& repository, const Digest& digest) {
  ENTREPOT_TRY_ASSIGN(std::optional<State::Rows> rows, state_->find_rows(repository, digest));
  if (!rows) return std::optional<FoundBlob>();
  ENTREPOT_TRY_ASSIGN(std::optional<State::Opened> opened, state_->open_blob(digest, rows->blob.size));
  if (!opened) return std::optional<FoundBlob>();
  bool is_doubtful = state_->doubtful.is_doubtful(digest, opened->written);
  return FoundBlob{std::move(opened->file), rows->blob.size, is_doubtful, opened->inode, opened->written};
}

// Somebody may have proved it since it was found.
Result<bool> Cache::prove(const Digest& digest, const FoundBlob& blob,
                          const std::function<void()>& on_piece) {
  DoubtfulBlobs& doubtful = state_->doubtful;
  if (!blob.is_doubtful || !doubtful.is_doubtful(digest, blob.written)) return true;
  Result<Digest> actual = hash_file(blob.file->get(), digest.algorithm(), on_piece);
  if (!actual) {
    blob.file->report_unreadable();
    return fail(actual.error());
  }
  if (*actual == digest) {
    doubtful.prove(digest);
    return true;
  }
  doubtful.refute(digest, blob.inode, blob.written);
  state_->drop(digest, "its file does not hash to it", blob.inode);
  return false;
}

Result<std::optional<FoundManifest>> Cache::find_manifest(const Repository& repository,
                                                          const Digest& digest) {
  ENTREPOT_TRY_ASSIGN(std::optional<State::Rows> rows, state_->find_rows(repository, digest));
  if (!rows || !rows->manifest || rows->blob.size > kMaxManifest) return std::optional<FoundManifest>();
  ENTREPOT_TRY_ASSIGN(std::optional<State::Opened> opened, state_->open_blob(digest, rows->blob.size));
  if (!opened) return std::optional<FoundManifest>();
  FoundManifest found;
  found.media_type = std::move(rows->manifest->media_type);
  found.size = rows->blob.size;
  Result<Digest> actual = digest;
  if (found.size > kLargeManifest) {
    found.file = opened->file;
    actual = hash_file(found.file->get(), digest.algorithm());
  } else {
    Result<std::string> bytes = read_file(opened->file->get(), found.size);
    if (bytes) found.bytes = std::move(*bytes);
    actual = bytes ? Result<Digest>(Digest::of(digest.algorithm(), found.bytes)) : fail(bytes.error());
  }
  if (!actual) {
    opened->file->report_unreadable();
    return fail(actual.error());
  }
  if (*actual != digest) {
    state_->drop(digest, "its file does not hash to it", opened->inode);
    return std::optional<FoundManifest>();
  }
  return found;
}

Result<std::optional<FoundTag>> Cache::find_tag(const Repository& repository, const std::string& tag) {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, state_->index->read());
  ENTREPOT_TRY_ASSIGN(std::optional<uint32_t> id, reader.view().repository_id(repository));
  if (!id || tag_key(*id, tag).size() > kMaxKey) return std::optional<FoundTag>();
  ENTREPOT_TRY_ASSIGN(std::optional<TagRow> row, reader.view().tag(*id, tag));
  if (!row) return std::optional<FoundTag>();
  return FoundTag{row->digest, from_milliseconds(row->checked_at_ms)};
}

Result<std::vector<std::string>> Cache::list_tags(const Repository& repository, const std::string& after,
                                                  size_t most) {
  std::vector<std::string> tags;
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, state_->index->read());
  ENTREPOT_TRY_ASSIGN(std::optional<uint32_t> id, reader.view().repository_id(repository));
  if (!id || tag_key(*id, after).size() > kMaxKey) return tags;
  const std::string prefix = tag_key(*id, {});
  ENTREPOT_TRY(
      reader.txn().scan(Table::tag, tag_key(*id, after), [&](std::string_view key, std::string_view value) {
        if (!key.starts_with(prefix) || tags.size() >= most) return false;
        std::optional<TagRow> row = TagRow::decode(value, key);
        key.remove_prefix(prefix.size());
        bool is_there = row && row->checked_at_ms != 0;  // else the upstream has said that there is none
        if (is_there && key != after) tags.emplace_back(key);
        return true;
      }));
  return tags;
}

Result<std::vector<Digest>> Cache::list_referrers(const Repository& repository, const Digest& subject,
                                                  size_t most) {
  std::vector<Digest> own;
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, state_->index->read());
  ENTREPOT_TRY_ASSIGN(std::optional<uint32_t> id, reader.view().repository_id(repository));
  if (!id) return own;
  ENTREPOT_TRY_ASSIGN(std::vector<Digest> all, reader.view().referrers(subject));
  for (const Digest& digest : all) {
    if (own.size() >= most) break;
    ENTREPOT_TRY_ASSIGN(std::optional<LinkRow> link, reader.view().link(digest, *id));
    if (link) own.push_back(digest);
  }
  return own;
}

Result<std::optional<Descriptor>> Cache::find_link(const Repository& repository, const Digest& digest) {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, state_->index->read());
  ENTREPOT_TRY_ASSIGN(std::optional<uint32_t> id, reader.view().repository_id(repository));
  if (!id) return std::optional<Descriptor>();
  ENTREPOT_TRY_ASSIGN(std::optional<LinkRow> row, reader.view().link(digest, *id));
  if (!row) return std::optional<Descriptor>();
  return Descriptor{digest, row->size};
}

Result<bool> Cache::contains(const Digest& digest) {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, state_->index->read());
  ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> row, reader.view().blob(digest));
  if (!row || row->state != BlobState::committed) return false;
  ENTREPOT_TRY_ASSIGN(std::optional<State::Opened> opened, state_->open_blob(digest, row->size));
  return opened.has_value();
}

Result<bool> Cache::is_acknowledged(const Digest& digest) {
  ENTREPOT_TRY_ASSIGN(bool is_there, contains(digest));
  if (!is_there) return false;
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, state_->index->read());
  return reader.view().has_link(digest);
}

void Cache::stop() { state_->end(); }

void Cache::start_scrub(std::function<void(DamagedBlob)> damaged, Metrics& metrics) {
  if (state_->options.scrub_rate == 0) return;
  Scrub::Surroundings around{*state_->index,   *state_->uses, *state_->blobs, *state_->inbox,
                             state_->doubtful, state_->clock, state_->logger};
  state_->scrub = std::make_unique<Scrub>(around, state_->options.scrub_rate, std::move(damaged), metrics);
}

Result<std::unique_ptr<Part>> Cache::open_part(const Digest& digest, uint64_t size) {
  if (is_too_large(size))
    return fail(Errc::disk_full,
                fmt::format("{} of {} bytes is larger than the cache may be", digest.text(), size));
  PartFile::Surroundings around{*state_->parts, *state_->blobs, *state_->room, *state_->inbox};
  ENTREPOT_TRY_ASSIGN(std::unique_ptr<Part> part, PartFile::adopt(digest, around));
  if (part) {
    ENTREPOT_TRY(part->reserve(size));
    return part;
  }
  std::shared_ptr<FileUse> use = state_->uses->make_use();
  ENTREPOT_TRY(state_->room->take(*use, reservation_for(size)));
  return PartFile::create(digest, std::move(use), around);
}

bool Cache::is_too_large(uint64_t size) const {
  uint64_t limit = state_->ledger->blob_limit();
  return size > limit || reservation_for(size) > limit;
}

void Cache::commit(Commit commit, Done done) {
  state_->inbox->post(CommitMessage{std::move(commit), std::move(done)});
}

void Cache::note_failure(const std::string& what, const Error& error) {
  state_->trouble->note(error);
  state_->trouble->complain(what, error);
}
bool Cache::is_degraded() const { return state_->trouble->is_degraded(); }

void Cache::touch(const Digest& digest) { state_->inbox->touch(digest); }

void Cache::set_evict_listener(std::move_only_function<void(const Digest&)> forget) {
  state_->inbox->post(ListenerMessage{std::move(forget)});
}

Result<VerifyReport> Cache::verify(bool repairs, const OnVerifyProgress& on_progress,
                                   const std::function<void(DamagedBlob)>& damaged) {
  Verify verify(
      {*state_->index, *state_->uses, *state_->blobs, *state_->inbox, state_->doubtful, state_->logger});
  return verify.run(repairs, on_progress, damaged);
}

void Cache::set_purging(bool is_purging) { state_->is_purging = is_purging; }

Inventory Cache::inventory() const { return Inventory(*state_->index); }

Status Cache::commit_and_wait(Commit commit) {
  auto promise = std::make_shared<std::promise<Status>>();
  std::future<Status> outcome = promise->get_future();
  this->commit(std::move(commit), [promise](Status status) { promise->set_value(std::move(status)); });
  return outcome.get();
}

Cache::Limits Cache::limits() const { return {state_->ledger->max_size(), state_->room->min_free()}; }

Status Cache::set_limits(const Limits& limits) {
  ENTREPOT_TRY_ASSIGN(CacheTotals totals, inventory().totals());
  ENTREPOT_TRY(state_->check_max_size(limits.max_size, totals.pinned_bytes));
  state_->ledger->set_max_size(limits.max_size);
  state_->room->set_min_free(limits.min_free);
  state_->inbox->post(LimitsMessage{});
  return {};
}

uint64_t Cache::used() const { return state_->ledger->used(); }
const Options& Cache::options() const { return state_->options; }

}  // namespace entrepot::cache
