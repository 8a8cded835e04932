#include "cache/lmdb_env.h"

#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "cache/files.h"
#include "cache/version.h"

namespace entrepot::cache {
namespace {

constexpr unsigned kMaxReaders = 254;
constexpr mode_t kFileMode = 0600;
constexpr const char* kTableNames[] = {"meta", "repo",   "blob", "lru",      "manifest", "tag",
                                       "link", "holder", "age",  "referrer", "negative"};
static_assert(std::size(kTableNames) == kTableCount);

tl::unexpected<Error> lmdb_error(const char* what, int code) {
  if (code > 0) return fail(system_error(std::string("index: ") + what, code));
  Errc errc = Errc::cache_corrupt;
  if (code == MDB_MAP_FULL) errc = Errc::disk_full;
  if (code == MDB_READERS_FULL) errc = Errc::overloaded;
  if (code == MDB_BAD_VALSIZE || code == MDB_BAD_TXN || code == MDB_TXN_FULL) errc = Errc::internal;
  return fail(errc, std::string("index: ") + what + ": " + mdb_strerror(code));
}

MDB_val to_val(std::string_view bytes) {
  // LMDB takes a pointer to non-const and does not write through it.
  return {bytes.size(), const_cast<char*>(bytes.data())};
}

std::string_view to_view(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

}  // namespace

tl::unexpected<Error> LmdbEnv::error(const char* what, int code) {
  tl::unexpected<Error> error = lmdb_error(what, code);
  if (error.value().code == Errc::cache_corrupt) is_damaged_ = true;
  return error;
}

LmdbTxn::LmdbTxn(LmdbTxn&& other) noexcept
    : env_(other.env_), txn_(std::exchange(other.txn_, nullptr)), is_write_(other.is_write_) {}

LmdbTxn::~LmdbTxn() {
  if (txn_ == nullptr) return;
  if (is_write_)
    mdb_txn_abort(txn_);
  else
    env_->give_back(txn_);
}

Result<std::optional<std::string>> LmdbTxn::get(Table table, std::string_view key) const {
  MDB_val wanted = to_val(key);
  MDB_val found;
  int code = mdb_get(txn_, env_->tables_[static_cast<size_t>(table)], &wanted, &found);
  if (code == MDB_NOTFOUND) return std::optional<std::string>();
  if (code != 0) return env_->error("get", code);
  return std::optional<std::string>(to_view(found));
}

Status LmdbTxn::scan(Table table, std::string_view from, const Visit& visit) const {
  MDB_cursor* cursor = nullptr;
  int code = mdb_cursor_open(txn_, env_->tables_[static_cast<size_t>(table)], &cursor);
  if (code != 0) return env_->error("cursor", code);
  MDB_val key = to_val(from);
  MDB_val value;
  code = mdb_cursor_get(cursor, &key, &value, from.empty() ? MDB_FIRST : MDB_SET_RANGE);
  while (code == 0 && visit(to_view(key), to_view(value)))
    code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  mdb_cursor_close(cursor);
  if (code != 0 && code != MDB_NOTFOUND) return env_->error("scan", code);
  return {};
}

Status LmdbTxn::scan_back(Table table, const Visit& visit) const {
  MDB_cursor* cursor = nullptr;
  int code = mdb_cursor_open(txn_, env_->tables_[static_cast<size_t>(table)], &cursor);
  if (code != 0) return env_->error("cursor", code);
  MDB_val key;
  MDB_val value;
  code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
  while (code == 0 && visit(to_view(key), to_view(value)))
    code = mdb_cursor_get(cursor, &key, &value, MDB_PREV);
  mdb_cursor_close(cursor);
  if (code != 0 && code != MDB_NOTFOUND) return env_->error("scan", code);
  return {};
}

Status LmdbTxn::put(Table table, std::string_view key, std::string_view value) {
  MDB_val k = to_val(key);
  MDB_val v = to_val(value);
  int code = mdb_put(txn_, env_->tables_[static_cast<size_t>(table)], &k, &v, 0);
  if (code != 0) return env_->error("put", code);
  return {};
}

Status LmdbTxn::walk(unsigned table) const {
  MDB_cursor* cursor = nullptr;
  int code = mdb_cursor_open(txn_, table, &cursor);
  if (code != 0) return env_->error("cursor", code);
  MDB_val key;
  MDB_val value;
  // Large values have pages of their own.
  unsigned char sum = 0;
  for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == 0;
       code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
    if (value.mv_size > 0)
      sum = static_cast<unsigned char>(sum + to_view(value).back() + to_view(value).front());
  volatile unsigned char read = sum;
  static_cast<void>(read);
  mdb_cursor_close(cursor);
  if (code != MDB_NOTFOUND) return env_->error("walk", code);
  return {};
}

Status LmdbTxn::walk_all() const {
  constexpr unsigned kFreePages = 0;  // LMDB's own table
  ENTREPOT_TRY(walk(kFreePages));
  for (unsigned table : env_->tables_) ENTREPOT_TRY(walk(table));
  return {};
}

Result<uint64_t> LmdbTxn::count(Table table) const {
  MDB_stat stat;
  int code = mdb_stat(txn_, env_->tables_[static_cast<size_t>(table)], &stat);
  if (code != 0) return env_->error("count", code);
  return stat.ms_entries;
}

Result<bool> LmdbTxn::remove(Table table, std::string_view key) {
  MDB_val k = to_val(key);
  int code = mdb_del(txn_, env_->tables_[static_cast<size_t>(table)], &k, nullptr);
  if (code == MDB_NOTFOUND) return false;
  if (code != 0) return env_->error("remove", code);
  return true;
}

Status LmdbTxn::commit() {
  CHECK(is_write_);
  int code = mdb_txn_commit(std::exchange(txn_, nullptr));
  if (code != 0) return env_->error("commit", code);
  env_->cover_last_page();
  return {};
}

Result<std::unique_ptr<LmdbEnv>> LmdbEnv::open(const std::string& path, uint64_t map_size) {
  std::unique_ptr<LmdbEnv> env(new LmdbEnv);
  env->path_ = path;
  int code = mdb_env_create(&env->env_);
  if (code != 0) return lmdb_error("create", code);
  if ((code = mdb_env_set_mapsize(env->env_, map_size)) != 0) return lmdb_error("map size", code);
  if ((code = mdb_env_set_maxdbs(env->env_, kTableCount)) != 0) return lmdb_error("tables", code);
  if ((code = mdb_env_set_maxreaders(env->env_, kMaxReaders)) != 0) return lmdb_error("readers", code);
  // Default sync flags: a commit that returned is on disk. NOTLS: a reader's slot goes with its transaction,
  // whichever thread of the pool has it.
  code = mdb_env_open(env->env_, path.c_str(), MDB_NOTLS, kFileMode);
  if (code != 0) return lmdb_error("open", code);
  int stale = 0;
  if ((code = mdb_reader_check(env->env_, &stale)) != 0) return lmdb_error("reader check", code);
  ENTREPOT_TRY(env->open_tables());
  struct stat status;
  if (::stat((path + "/lock.mdb").c_str(), &status) == 0) env->lock_file_bytes_ = cache::disk_bytes(status);
  return env;
}

Status LmdbEnv::open_tables() {
  MDB_txn* txn = nullptr;
  int code = mdb_txn_begin(env_, nullptr, 0, &txn);
  if (code != 0) return lmdb_error("begin", code);
  for (size_t i = 0; i < kTableCount; ++i) {
    code = mdb_dbi_open(txn, kTableNames[i], MDB_CREATE, &tables_[i]);
    if (code == 0) continue;
    mdb_txn_abort(txn);
    return lmdb_error("open table", code);
  }
  code = mdb_txn_commit(txn);
  if (code != 0) return lmdb_error("commit", code);
  cover_last_page();
  return {};
}

LmdbEnv::~LmdbEnv() {
  for (MDB_txn* reader : idle_readers_) mdb_txn_abort(reader);
  if (env_ != nullptr) mdb_env_close(env_);
}

Result<LmdbTxn> LmdbEnv::begin_read() {
  MDB_txn* txn = nullptr;
  {
    std::lock_guard lock(idle_readers_mutex_);
    if (!idle_readers_.empty()) {
      txn = idle_readers_.back();
      idle_readers_.pop_back();
    }
  }
  int code = txn != nullptr ? mdb_txn_renew(txn) : mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (code != 0) {
    if (txn != nullptr) mdb_txn_abort(txn);
    return lmdb_error("begin reading", code);
  }
  return LmdbTxn(*this, txn, false);
}

void LmdbEnv::give_back(MDB_txn* reader) {
  mdb_txn_reset(reader);
  std::lock_guard lock(idle_readers_mutex_);
  idle_readers_.push_back(reader);
}

Result<LmdbTxn> LmdbEnv::begin_write() {
  MDB_txn* txn = nullptr;
  int code = mdb_txn_begin(env_, nullptr, 0, &txn);
  if (code != 0) return lmdb_error("begin writing", code);
  return LmdbTxn(*this, txn, true);
}

uint64_t LmdbEnv::disk_bytes() const {
  mdb_filehandle_t fd = -1;
  if (mdb_env_get_fd(env_, &fd) != 0) return 0;
  return cache::disk_bytes(fd) + lock_file_bytes_;
}

void LmdbEnv::cover_last_page() {
  MDB_envinfo info;
  MDB_stat stat;
  mdb_filehandle_t fd = -1;
  struct stat status;
  if (mdb_env_info(env_, &info) != 0 || mdb_env_stat(env_, &stat) != 0) return;
  if (mdb_env_get_fd(env_, &fd) != 0 || ::fstat(fd, &status) != 0) return;
  auto wanted = static_cast<off_t>((info.me_last_pgno + 1) * stat.ms_psize);
  if (status.st_size >= wanted) return;
  // Failing costs a rebuild after the next restart at worst.
  if (::ftruncate(fd, wanted) == 0) (void)::fdatasync(fd);
}

std::string library_version() {
  int major = 0;
  int minor = 0;
  int patch = 0;
  mdb_version(&major, &minor, &patch);
  return "LMDB " + std::to_string(major) + '.' + std::to_string(minor) + '.' + std::to_string(patch);
}

}  // namespace entrepot::cache
