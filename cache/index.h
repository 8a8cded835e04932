#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cache/lmdb_env.h"
#include "cache/rows.h"

namespace entrepot::cache {

/// The rows of one transaction, read. A row whose CRC is wrong counts as missing: what it said is fetched
/// again.
class IndexView {
 public:
  explicit IndexView(const LmdbTxn& txn) : txn_(&txn) {}

  Result<std::optional<uint32_t>> repository_id(const Repository& repository) const;
  Result<std::optional<Repository>> repository(uint32_t id) const;
  Result<std::optional<BlobRow>> blob(const Digest& digest) const;
  Result<std::optional<ManifestRow>> manifest(const Digest& digest) const;
  Result<std::optional<TagRow>> tag(uint32_t repository, std::string_view tag) const;
  Result<std::optional<LinkRow>> link(const Digest& digest, uint32_t repository) const;
  /// Those that have a link to it, at most `most`.
  Result<std::vector<Repository>> holders(const Digest& digest, size_t most) const;
  /// Whether any repository has a link to it.
  Result<bool> has_link(const Digest& digest) const;
  /// The manifests here whose subject it is, whoever holds them.
  Result<std::vector<Digest>> referrers(const Digest& subject) const;
  /// nullopt when the index is new.
  Result<std::optional<StateRow>> state() const;

 protected:
  template <class Row>
  Result<std::optional<Row>> load(Table table, std::string_view key) const;

 private:
  const LmdbTxn* txn_;
};

/// The index: an LMDB environment that can be closed and opened anew under its readers after a failed commit.
/// Made while the cache opens; read from disk-pool threads, written by the index writer alone.
class Index {
 public:
  /// A read transaction; holds off a reopen while it lives.
  class Reader {
   public:
    Reader(std::shared_lock<std::shared_mutex> lock, LmdbTxn txn)
        : lock_(std::move(lock)), txn_(std::move(txn)) {}
    IndexView view() const { return IndexView(txn_); }
    const LmdbTxn& txn() const { return txn_; }

   private:
    std::shared_lock<std::shared_mutex> lock_;
    LmdbTxn txn_;
  };

  enum class Condition { good, must_be_rebuilt };

  /// BLOCKING. `directory` is `index/`, open, at `path`. A file that is damaged, unreadable, of an older
  /// format or a rebuild cut short is removed and made anew, empty: `condition` says so. An index of a newer
  /// format is an error. `is_anew`: whatever is there is taken for damaged.
  static Result<std::unique_ptr<Index>> open(UniqueFd directory, std::string path, bool is_anew = false);

  Condition condition() const { return condition_; }
  /// Why it must be rebuilt, for the log; "" for a directory without an index.
  const std::string& complaint() const { return complaint_; }

  /// BLOCKING.
  Result<Reader> read() const;
  /// The writer's thread.
  Result<LmdbTxn> write();
  /// The writer's thread, after a failed commit: waits for the readers, closes and opens. When it fails, the
  /// index stays closed and every look-up is an error, until a later call succeeds.
  Status reopen();
  uint64_t disk_bytes() const;
  /// LMDB has found it damaged.
  bool is_damaged() const;

 private:
  Index(UniqueFd directory, std::string path) : directory_(std::move(directory)), path_(std::move(path)) {}
  Status open_env();
  Status start_anew(std::string complaint);
  /// What keeps the open environment from being used as it is; "" = nothing.
  Result<std::string> find_complaint() const;

  UniqueFd directory_;
  const std::string path_;
  Condition condition_ = Condition::good;
  std::string complaint_;
  mutable std::shared_mutex reopen_mutex_;
  std::unique_ptr<LmdbEnv> env_;
};

}  // namespace entrepot::cache
