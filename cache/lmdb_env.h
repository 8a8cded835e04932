#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// LMDB behind a small wall: this pair of files is the only one that includes <lmdb.h>. It knows tables, keys
// and values as bytes and nothing of what they mean.

struct MDB_env;
struct MDB_txn;

namespace entrepot::cache {

/// The order is that of kTableNames in the .cc.
enum class Table : uint8_t { meta, repo, blob, lru, manifest, tag, link, holder, age, referrer, negative };
inline constexpr size_t kTableCount = 11;

class LmdbEnv;

/// A transaction: aborted by the destructor unless committed. Belongs to one thread. Short: an open reader
/// keeps pages from being used again, so none is held across file or network work.
class LmdbTxn {
 public:
  /// False = stop.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;

  LmdbTxn(LmdbTxn&& other) noexcept;
  LmdbTxn& operator=(LmdbTxn&&) = delete;
  ~LmdbTxn();

  /// A copy: what LMDB points at is good only as long as the transaction, and not aligned.
  Result<std::optional<std::string>> get(Table table, std::string_view key) const;
  /// Visits rows with keys from `from` on, in order. `visit` must copy what it keeps and must not write.
  Status scan(Table table, std::string_view from, const Visit& visit) const;

  /// The same from the last row on, backwards.
  Status scan_back(Table table, const Visit& visit) const;

  /// Reads every page of every table, and of the list of free ones.
  Status walk_all() const;
  /// How many rows the table has; at once.
  Result<uint64_t> count(Table table) const;

  // Of a write transaction only:
  Status put(Table table, std::string_view key, std::string_view value);
  /// True when there was such a row.
  Result<bool> remove(Table table, std::string_view key);
  /// Durable when it returns. A failure has changed nothing; the environment is to be opened anew then.
  Status commit();

 private:
  friend class LmdbEnv;
  LmdbTxn(LmdbEnv& env, MDB_txn* txn, bool is_write) : env_(&env), txn_(txn), is_write_(is_write) {}

  LmdbEnv* env_;
  MDB_txn* txn_;
  Status walk(unsigned table) const;

  bool is_write_;
};

/// One open environment. Only one may exist per directory and process. Read from any thread, written by one.
class LmdbEnv {
 public:
  /// BLOCKING. Opens or makes the environment in `path` with all tables. cache_corrupt when LMDB finds the
  /// file not to be its own. REQUIRES: inspect_data_file did not say `damaged`; no other process uses the
  /// directory.
  static Result<std::unique_ptr<LmdbEnv>> open(const std::string& path, uint64_t map_size);
  /// REQUIRES: no transaction is open.
  ~LmdbEnv();

  Result<LmdbTxn> begin_read();
  Result<LmdbTxn> begin_write();

  /// LMDB has found something damaged since it was opened. Any thread.
  bool is_damaged() const { return is_damaged_.load(std::memory_order_relaxed); }

  /// Of data.mdb and lock.mdb, as the file system counts them.
  uint64_t disk_bytes() const;

 private:
  friend class LmdbTxn;
  LmdbEnv() = default;
  tl::unexpected<Error> error(const char* what, int code);
  Status open_tables();
  /// LMDB leaves a page that it took from the end of the file and gave back in the same transaction
  /// unwritten. The file is then shorter than its meta page says, which inspect_data_file could not tell from
  /// a truncated one: makes it longer.
  void cover_last_page();
  void give_back(MDB_txn* reader);

  MDB_env* env_ = nullptr;
  uint32_t tables_[kTableCount] = {};
  std::string path_;
  std::atomic<bool> is_damaged_{false};
  uint64_t lock_file_bytes_ = 0;
  std::mutex idle_readers_mutex_;
  std::vector<MDB_txn*> idle_readers_;  // reset, to be renewed: keeps its slot in the reader table
};

}  // namespace entrepot::cache
