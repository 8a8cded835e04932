#include "cache/cache.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <cerrno>
#include <filesystem>
#include <future>
#include <system_error>

#include "base/units.h"
#include "cache/blob_files.h"
#include "cache/file_use.h"
#include "cache/files.h"
#include "cache/inbox.h"
#include "cache/index.h"
#include "cache/index_writer.h"
#include "cache/inventory.h"
#include "cache/ledger.h"
#include "cache/lock_file.h"
#include "cache/overhead.h"
#include "cache/part_file.h"
#include "cache/parts_directory.h"
#include "cache/rebuild.h"
#include "cache/recovery.h"
#include "cache/refs_log.h"
#include "cache/room.h"
#include "cache/scrub.h"
#include "cache/verify.h"

namespace entrepot::cache {
namespace {

constexpr uint64_t kMaxManifest = 4u << 20;
// What an index grows by as soon as it is used: the figure that somebody is told must still do then.
constexpr uint64_t kIndexGrowth = 64u << 10;

Result<UniqueFd> open_root(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return fail(system_error("cannot make the cache directory " + directory, error.value()));
  int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(system_error("cannot open the cache directory " + directory, errno));
  return UniqueFd(fd);
}

}  // namespace

// In the order in which they are made; each refers to those above it.
struct Cache::State {
  State(Options given, const Clock& the_clock, Logger& the_logger)
      : options(std::move(given)), clock(the_clock), logger(the_logger) {}
  ~State() {
    scrub.reset();
    writer.reset();
    if (closing) closing->shut();
  }

  Status open_files();
  Status open_index();
  Status start(Metrics& metrics);
  void drop(const Digest& digest, std::string complaint, uint64_t bad_inode = 0) {
    inbox->post(DropMessage{digest, std::move(complaint), bad_inode, {}});
  }
  /// Whether the index, and `pinned` bytes, fit.
  Status check_max_size(uint64_t max_size, uint64_t pinned) const;
  struct Rows {
    BlobRow blob;
    std::optional<ManifestRow> manifest;
  };
  /// Of a committed blob that the repository has a link to.
  Result<std::optional<Rows>> find_rows(const Repository& repository, const Digest& digest) const;
  struct Opened {
    SharedFd file;
    uint64_t inode = 0;
  };
  Result<std::optional<Opened>> open_blob(const Digest& digest, uint64_t size);

  const Options options;
  const Clock& clock;
  Logger& logger;
  UniqueFd root;
  UniqueFd lock;
  UniqueFd index_directory;  // to measure it
  std::shared_ptr<Ledger> ledger;
  std::shared_ptr<ClosingBox> closing;
  std::unique_ptr<OpenFiles> uses;
  std::unique_ptr<BlobFiles> blobs;
  std::unique_ptr<PartsDirectory> parts;
  std::unique_ptr<Index> index;
  std::unique_ptr<RefsLog> log;
  std::unique_ptr<Overhead> overhead;
  std::unique_ptr<Room> room;
  std::unique_ptr<Inbox> inbox;
  std::unique_ptr<IndexWriter> writer;
  std::unique_ptr<Scrub> scrub;
};

Status Cache::State::open_files() {
  ENTREPOT_TRY_ASSIGN(root, open_root(options.directory));
  ENTREPOT_TRY_ASSIGN(lock, take_lock(root.get(), options.directory));
  ENTREPOT_TRY(check_format(root.get(), options.directory));
  ledger = std::make_shared<Ledger>(options.max_size);
  closing = std::make_shared<ClosingBox>();
  uses = std::make_unique<OpenFiles>(ledger, closing);
  ENTREPOT_TRY_ASSIGN(blobs, BlobFiles::open(root.get(), ledger));
  ENTREPOT_TRY_ASSIGN(parts, PartsDirectory::open(root.get()));
  return {};
}

Status Cache::State::open_index() {
  ENTREPOT_TRY(make_directory(root.get(), "index"));
  ENTREPOT_TRY_ASSIGN(UniqueFd directory, open_directory(root.get(), "index"));
  ENTREPOT_TRY_ASSIGN(index_directory, open_directory(root.get(), "index"));
  ENTREPOT_TRY_ASSIGN(index,
                      Index::open(std::move(directory), options.directory + "/index", options.is_rebuild));
  log = std::make_unique<RefsLog>(root.get());
  ENTREPOT_TRY(remove_name(root.get(), "refs.log.new"));
  if (index->condition() == Index::Condition::must_be_rebuilt) {
    if (!index->complaint().empty())
      logger.warn("the index is rebuilt from the blobs: {}", index->complaint());
    return rebuild(root.get(), *index, *blobs, *log, logger);
  }
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index->read());
  ENTREPOT_TRY_ASSIGN(std::optional<StateRow> state, reader.view().state());
  if (!state) return fail(Errc::cache_corrupt, "the index lost its state");
  RefsLog::Position expected{state->refs_generation, state->refs_length, state->refs_compacted_length};
  ENTREPOT_TRY_ASSIGN(bool is_as_expected, log->open(expected));
  if (!is_as_expected)
    logger.warn("refs.log is not what the index knows of it, and is written anew from the index");
  return {};
}

Status Cache::State::start(Metrics& metrics) {
  ENTREPOT_TRY(open_files());
  ENTREPOT_TRY(open_index());
  ENTREPOT_TRY_ASSIGN(struct timespec last_start,
                      options.is_run ? begin_run(lock.get()) : last_run(lock.get()));
  ENTREPOT_TRY_ASSIGN(std::vector<LeftoverPart> leftovers,
                      recover(*index, *blobs, *parts, *log, last_start, logger));
  StateRow state;
  {
    ENTREPOT_TRY_ASSIGN(Index::Reader reader, index->read());
    ENTREPOT_TRY_ASSIGN(std::optional<StateRow> row, reader.view().state());
    if (row) state = *row;
  }
  ledger->charge(state.blob_bytes);
  for (const LeftoverPart& part : leftovers) {
    std::shared_ptr<FileUse> use = uses->make_use();
    ledger->charge(part.disk_bytes);
    use->own_written(part.disk_bytes);
    // A part that a whole run had no use for is the first to go; else run after run would make it young
    // again.
    parts->found(part.digest, std::move(use), part.is_recent ? state.next_sequence : 0);
  }
  overhead = std::make_unique<Overhead>(root.get(), index_directory.get(), *parts, *index, *log, *ledger);
  overhead->measure();
  ENTREPOT_TRY(check_max_size(options.max_size, 0));
  room = std::make_unique<Room>(ledger, closing, root.get(), options.min_free);
  inbox = std::make_unique<Inbox>(closing);
  IndexWriter::Surroundings around{*index,  *log,      *blobs,   *parts, *uses, *room,
                                   *ledger, *overhead, *closing, *inbox, clock, logger};
  writer = std::make_unique<IndexWriter>(around, options.offline, Caps{}, state, metrics);
  return {};
}

Status Cache::State::check_max_size(uint64_t max_size, uint64_t pinned) const {
  uint64_t taken = overhead->bytes() + pinned;
  if (max_size >= Ledger::least_max_size(taken)) return {};
  std::string also = pinned > 0 ? fmt::format(" and what is pinned {}", pinned) : "";
  return fail(
      Errc::config_invalid,
      fmt::format("cache.max_size = {} is too small: the index takes {} bytes{}, and {} bytes are needed",
                  format_size(max_size), overhead->bytes(), also,
                  Ledger::least_max_size(taken + kIndexGrowth)));
}

Result<std::optional<Cache::State::Opened>> Cache::State::open_blob(const Digest& digest, uint64_t size) {
  // Known as a user before the file is opened: whoever removes it afterwards finds us, and counts its bytes
  // on.
  std::shared_ptr<FileUse> use = uses->use(digest);
  ENTREPOT_TRY_ASSIGN(std::optional<BlobFiles::Opened> opened, blobs->open_for_reading(digest, size));
  if (use->is_removed()) return std::optional<Opened>();
  if (!opened) {
    drop(digest, fmt::format("it has no file of {} bytes", size));
    return std::optional<Opened>();
  }
  return Opened{FileUse::share(std::move(opened->file), std::move(use)), opened->inode};
}

Result<std::optional<Cache::State::Rows>> Cache::State::find_rows(const Repository& repository,
                                                                  const Digest& digest) const {
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index->read());
  IndexView view = reader.view();
  ENTREPOT_TRY_ASSIGN(std::optional<uint32_t> id, view.repository_id(repository));
  if (!id) return std::optional<Rows>();
  ENTREPOT_TRY_ASSIGN(std::optional<LinkRow> link, view.link(digest, *id));
  if (!link) return std::optional<Rows>();
  ENTREPOT_TRY_ASSIGN(std::optional<BlobRow> blob, view.blob(digest));
  if (!blob || blob->state != BlobState::committed) return std::optional<Rows>();
  ENTREPOT_TRY_ASSIGN(std::optional<ManifestRow> manifest, view.manifest(digest));
  return Rows{*blob, std::move(manifest)};
}

Result<std::unique_ptr<Cache>> Cache::open(Options options, const Clock& clock, Logger& logger,
                                           Metrics& metrics) {
  auto state = std::make_unique<State>(std::move(options), clock, logger);
  Status started = state->start(metrics);
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
  return FoundBlob{std::move(opened->file), rows->blob.size};
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
    ENTREPOT_TRY_ASSIGN(found.bytes, read_file(opened->file->get(), found.size));
    actual = Digest::of(digest.algorithm(), found.bytes);
  }
  if (!actual) return fail(actual.error());
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

void Cache::stop() {
  state_->scrub.reset();
  state_->writer.reset();
}

void Cache::start_scrub(std::function<void(DamagedBlob)> damaged, Metrics& metrics) {
  if (state_->options.scrub_rate == 0) return;
  Scrub::Surroundings around{*state_->index, *state_->uses, *state_->blobs,
                             *state_->inbox, state_->clock, state_->logger};
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

void Cache::touch(const Digest& digest) { state_->inbox->touch(digest); }

void Cache::set_evict_listener(std::move_only_function<void(const Digest&)> forget) {
  state_->inbox->post(ListenerMessage{std::move(forget)});
}

Result<VerifyReport> Cache::verify(bool repairs, const OnVerifyProgress& on_progress,
                                   const std::function<void(DamagedBlob)>& damaged) {
  Verify verify({*state_->index, *state_->uses, *state_->blobs, *state_->inbox, state_->logger});
  Result<VerifyReport> report = verify.run(repairs, on_progress, damaged);
  // What was repaired is durable when this returns.
  if (report && repairs) ENTREPOT_TRY(commit_and_wait({}));
  return report;
}

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
