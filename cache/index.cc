#include "cache/index.h"

#include <fmt/core.h>

#include <utility>

#include "cache/files.h"
#include "cache/index_probe.h"
#include "cache/lmdb_data_file.h"
#include "cache/lock_file.h"
#include "cache/record.h"

namespace entrepot::cache {
namespace {

// Address space, not disk: the file grows as it is used. Large enough for some twenty million blobs.
constexpr uint64_t kMapSize = uint64_t{16} << 30;

}  // namespace

template <class Row>
Result<std::optional<Row>> IndexView::load(Table table, std::string_view key) const {
  ENTREPOT_TRY_ASSIGN(std::optional<std::string> record, txn_->get(table, key));
  if (!record) return std::optional<Row>();
  return Row::decode(*record, key);
}

Result<std::optional<uint32_t>> IndexView::repository_id(const Repository& repository) const {
  std::string key = repository_name_key(repository);
  if (key.size() > kMaxKey) return std::optional<uint32_t>();
  ENTREPOT_TRY_ASSIGN(std::optional<RepositoryRow> row, load<RepositoryRow>(Table::repo, key));
  if (!row) return std::optional<uint32_t>();
  return std::optional<uint32_t>(row->id);
}

Result<std::optional<Repository>> IndexView::repository(uint32_t id) const {
  ENTREPOT_TRY_ASSIGN(std::optional<RepositoryRow> row,
                      load<RepositoryRow>(Table::repo, repository_id_key(id)));
  if (!row) return std::optional<Repository>();
  return std::optional<Repository>(std::move(row->repository));
}

Result<std::optional<BlobRow>> IndexView::blob(const Digest& digest) const {
  return load<BlobRow>(Table::blob, digest.key());
}

Result<std::optional<ManifestRow>> IndexView::manifest(const Digest& digest) const {
  return load<ManifestRow>(Table::manifest, digest.key());
}

Result<std::optional<TagRow>> IndexView::tag(uint32_t repository, std::string_view tag) const {
  return load<TagRow>(Table::tag, tag_key(repository, tag));
}

Result<std::optional<LinkRow>> IndexView::link(const Digest& digest, uint32_t repository) const {
  return load<LinkRow>(Table::link, link_key(digest, repository));
}

Result<std::vector<Repository>> IndexView::holders(const Digest& digest, size_t most) const {
  const std::string prefix = digest.key();
  std::vector<uint32_t> ids;
  ENTREPOT_TRY(txn_->scan(Table::link, prefix, [&](std::string_view key, std::string_view) {
    if (!key.starts_with(prefix) || ids.size() >= most) return false;
    key.remove_prefix(prefix.size());
    if (key.size() == sizeof(uint32_t)) ids.push_back(load_u32(key));
    return true;
  }));
  std::vector<Repository> found;
  for (uint32_t id : ids) {
    ENTREPOT_TRY_ASSIGN(std::optional<Repository> one, repository(id));
    if (one) found.push_back(std::move(*one));
  }
  return found;
}

Result<bool> IndexView::has_link(const Digest& digest) const {
  std::string first = digest.key();
  bool has_one = false;
  ENTREPOT_TRY(txn_->scan(Table::link, first, [&](std::string_view key, std::string_view) {
    has_one = key.starts_with(first);
    return false;
  }));
  return has_one;
}

Result<std::vector<Digest>> IndexView::referrers(const Digest& subject) const {
  const std::string prefix = subject.key();
  std::vector<Digest> referrers;
  ENTREPOT_TRY(txn_->scan(Table::referrer, prefix, [&](std::string_view key, std::string_view) {
    if (!key.starts_with(prefix)) return false;
    if (std::optional<Digest> one = Digest::from_key(key.substr(prefix.size()))) referrers.push_back(*one);
    return true;
  }));
  return referrers;
}

Result<std::optional<StateRow>> IndexView::state() const { return load<StateRow>(Table::meta, kStateKey); }

Result<std::unique_ptr<Index>> Index::open(UniqueFd directory, std::string path, bool is_anew) {
  std::unique_ptr<Index> index(new Index(std::move(directory), std::move(path)));
  // The reader table of a process that was killed. Nobody else can be in there: we hold LOCK.
  ENTREPOT_TRY(clear_name(index->directory_.get(), "lock.mdb"));
  if (is_anew) {
    ENTREPOT_TRY(index->start_anew("somebody asks for it"));
    return index;
  }
  ENTREPOT_TRY_ASSIGN(DataFile file, inspect_data_file(index->directory_.get()));
  if (file != DataFile::sound) {
    ENTREPOT_TRY(index->start_anew(file == DataFile::damaged ? "it is truncated or no index at all" : ""));
    return index;
  }
  ENTREPOT_TRY_ASSIGN(std::string damage, probe_index(index->path_, kMapSize));
  if (!damage.empty()) {
    ENTREPOT_TRY(index->start_anew(std::move(damage)));
    return index;
  }
  Status opened = index->open_env();
  if (!opened && opened.error().code != Errc::cache_corrupt) return fail(std::move(opened).error());
  if (!opened) {
    ENTREPOT_TRY(index->start_anew(opened.error().message));
    return index;
  }
  ENTREPOT_TRY_ASSIGN(std::string complaint, index->find_complaint());
  if (!complaint.empty()) ENTREPOT_TRY(index->start_anew(std::move(complaint)));
  return index;
}

Status Index::open_env() {
  ENTREPOT_TRY_ASSIGN(env_, LmdbEnv::open(path_, kMapSize));
  return {};
}

Status Index::start_anew(std::string complaint) {
  env_.reset();
  condition_ = Condition::must_be_rebuilt;
  complaint_ = std::move(complaint);
  // Not kept for a post-mortem: it is expendable, and a copy would count against the budget.
  ENTREPOT_TRY(clear_name(directory_.get(), "data.mdb"));
  ENTREPOT_TRY(clear_name(directory_.get(), "lock.mdb"));
  return open_env();
}

Result<std::string> Index::find_complaint() const {
  ENTREPOT_TRY_ASSIGN(Reader reader, read());
  auto state = reader.view().state();
  if (!state) return state.error().message;
  if (!*state) return std::string("it holds no state");
  if ((*state)->format > kFormat)
    return fail(Errc::config_invalid, fmt::format("{} is of format {}, newer than format {} of this program",
                                                  path_, (*state)->format, kFormat));
  if ((*state)->format < kFormat) return fmt::format("it is of the older format {}", (*state)->format);
  if (!(*state)->is_complete) return std::string("its rebuild was cut short");
  return std::string();
}

Result<Index::Reader> Index::read() const {
  std::shared_lock lock(reopen_mutex_);
  if (!env_) return fail(Errc::cache_corrupt, "the index could not be opened again after a failed commit");
  ENTREPOT_TRY_ASSIGN(LmdbTxn txn, env_->begin_read());
  return Reader(std::move(lock), std::move(txn));
}

Result<LmdbTxn> Index::write() {
  if (!env_) ENTREPOT_TRY(reopen());
  return env_->begin_write();
}

Status Index::reopen() {
  std::unique_lock lock(reopen_mutex_);
  env_.reset();
  ENTREPOT_TRY_ASSIGN(DataFile file, inspect_data_file(directory_.get()));
  if (file != DataFile::sound)
    return fail(Errc::cache_corrupt, "the index is damaged; it is rebuilt at the next start");
  return open_env();
}

bool Index::is_damaged() const {
  std::shared_lock lock(reopen_mutex_);
  return env_ != nullptr && env_->is_damaged();
}

uint64_t Index::disk_bytes() const {
  std::shared_lock lock(reopen_mutex_);
  return env_ ? env_->disk_bytes() : 0;
}

}  // namespace entrepot::cache
