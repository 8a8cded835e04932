#include "cache/cache_state.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/units.h"
#include "cache/files.h"
#include "cache/lock_file.h"
#include "cache/rebuild.h"
#include "cache/recovery.h"

namespace entrepot::cache {
namespace {

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

// A part becomes a blob by a link, which no file system does to another; and one budget is of one file
// system.
Status check_file_system(int root, const char* name, const std::string& shown) {
  struct stat whole;
  struct stat inner;
  if (::fstat(root, &whole) != 0 || ::fstatat(root, name, &inner, AT_SYMLINK_NOFOLLOW) != 0)
    return fail(system_error(fmt::format("cannot look at {}/{}", shown, name), errno));
  if (whole.st_dev == inner.st_dev) return {};
  return fail(Errc::config_invalid,
              fmt::format("{}/{} is on another file system than {}", shown, name, shown));
}

}  // namespace

Status Cache::State::open_files() {
  ENTREPOT_TRY_ASSIGN(root, open_root(options.directory));
  ENTREPOT_TRY_ASSIGN(lock, take_lock(root.get(), options.directory));
  ENTREPOT_TRY(check_format(root.get(), options.directory));
  ledger = std::make_shared<Ledger>(options.max_size);
  closing = std::make_shared<ClosingBox>();
  uses = std::make_unique<OpenFiles>(ledger, closing);
  ENTREPOT_TRY_ASSIGN(blobs, BlobFiles::open(root.get(), ledger));
  ENTREPOT_TRY_ASSIGN(parts, PartsDirectory::open(root.get()));
  ENTREPOT_TRY(make_directory(root.get(), "index"));
  for (const char* name : {"blobs", "blobs/sha256", "blobs/sha512", "parts", "index"})
    ENTREPOT_TRY(check_file_system(root.get(), name, options.directory));
  return {};
}

Status Cache::State::open_index() {
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
  std::optional<WallTime> this_run;
  if (options.is_run) {
    // By the file system's clock, as the times of blobs are.
    ENTREPOT_TRY_ASSIGN(struct timespec began, last_run(lock.get()));
    this_run = wall_time_of(began);
  }
  ENTREPOT_TRY_ASSIGN(Recovered recovered,
                      recover(*index, *blobs, *parts, *log, last_start, this_run, logger));
  const std::vector<LeftoverPart>& leftovers = recovered.parts;
  ENTREPOT_TRY(recall_doubts(recovered, this_run));
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
  trouble = std::make_unique<Trouble>(clock, logger, metrics);
  inbox = std::make_shared<Inbox>(closing);
  IndexWriter::Surroundings around{*index,   *log,     *blobs,     *parts,   *uses,
                                   *room,    *ledger,  *overhead,  *closing, *inbox,
                                   *trouble, doubtful, is_purging, clock,    logger};
  writer = std::make_unique<IndexWriter>(around, options.offline, Caps{}, state, metrics);
  return {};
}

Status Cache::State::recall_doubts(const Recovered& recovered, std::optional<WallTime> this_run) {
  if (recovered.unclean_since) doubtful.set_unclean(*recovered.unclean_since, *this_run);
  ENTREPOT_TRY_ASSIGN(Index::Reader reader, index->read());
  ENTREPOT_TRY_ASSIGN(std::optional<std::string> record, reader.txn().get(Table::meta, kRebuiltKey));
  if (!record) return {};
  std::optional<RebuiltRow> row = RebuiltRow::decode(*record, kRebuiltKey);
  // One that cannot be read may be of any time.
  if (row)
    doubtful.set_rebuilt(from_milliseconds(row->until_ms), row->from);
  else
    doubtful.set_rebuilt(clock.wall(), {});
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

void Cache::State::end() {
  scrub.reset();
  bool was_running = writer != nullptr;
  writer.reset();
  if (!was_running || !options.is_run) return;
  Status noted = note_clean_stop(*index);
  if (!noted) logger.warn("the stop is taken for an unclean one: {}", noted.error().message);
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
  if (doubtful.is_refuted(digest, opened->inode, opened->written)) return std::optional<Opened>();
  return Opened{
      FileUse::share(std::move(opened->file), std::move(use), dropper_of_unreadable(digest, opened->inode)),
      opened->inode, opened->written};
}

// Whoever has the file open may outlive us.
std::function<void()> Cache::State::dropper_of_unreadable(const Digest& digest, uint64_t inode) const {
  return [to = std::weak_ptr<Inbox>(inbox), digest, inode] {
    std::shared_ptr<Inbox> there = to.lock();
    if (!there) return;
    there->post(DropMessage{
        .digest = digest, .complaint = "its file cannot be read", .bad_inode = inode, .is_unreadable = true});
  };
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

}  // namespace entrepot::cache
