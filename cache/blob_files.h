#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "cache/ledger.h"

namespace entrepot::cache {

/// The files under `blobs/`: `<algorithm>/<first two hex digits>/<hex>`. Knows names and directories, nothing
/// of the index. All functions are BLOCKING; disk-pool threads place and open while the writer removes.
///
/// A digest may be evicted while it is being fetched again. Then the writer, who removes the old file by its
/// name, must not take away the new one that was just put there. So a placed file stays `pending` until its
/// commit is settled, and `remove` leaves the names of pending files alone: replacing has removed the old
/// file already.
class BlobFiles {
 public:
  /// Makes the directories. `directory` is the cache's, open, and outlives this.
  static Result<std::unique_ptr<BlobFiles>> open(int directory, std::shared_ptr<Ledger> ledger);

  /// Opened for reading, never following a link and never waiting (for a FIFO); nothing when there is no such
  /// file, or none that is a regular one of `size` bytes. An error says nothing of the file (too many open
  /// files, say).
  struct Opened {
    UniqueFd file;
    uint64_t inode = 0;
    struct timespec written {};
  };
  Result<std::optional<Opened>> open_for_reading(const Digest& digest, uint64_t size) const;
  /// Inode, size and blocks; nothing when there is no regular file of that name.
  Result<std::optional<struct stat>> status_of(const Digest& digest) const;

  /// Gives the file `part_name` of the open directory `parts` its final name and syncs the directory. What
  /// had the name before is replaced. The part's name stays. The digest is pending afterwards.
  Status place(int parts, const std::string& part_name, const Digest& digest);
  /// Makes the name of a file that is there durable; once for each directory, which holds for all in it.
  Status sync_name(const Digest& digest);
  /// Placed, and its commit not settled.
  bool is_pending(const Digest& digest);
  /// The commit of a placed file is durable.
  void settle(const Digest& digest);
  /// The commit failed: the file is taken away again. Not when it replaced one: that one's row, if it has
  /// one, is as true of this.
  Status withdraw(const Digest& digest);

  /// Removes the files of these digests, then syncs the directories they were in. `removed` has those whose
  /// name is gone.
  Status remove(const std::vector<Digest>& digests, std::vector<Digest>& removed);

  struct Found {
    Digest digest;
    UniqueFd file;
  };
  /// Visits every file that is named like a blob and is a regular file; `foreign` gets the paths of all
  /// others.
  Status walk(const std::function<Status(Found)>& visit,
              const std::function<void(std::string)>& foreign) const;

 private:
  BlobFiles(UniqueFd root, std::shared_ptr<Ledger> ledger)
      : root_(std::move(root)), ledger_(std::move(ledger)) {}
  Status open_algorithm(DigestAlgorithm algorithm);
  int algorithm_fd(const Digest& digest) const;
  struct Shard {
    uint64_t disk_bytes = 0;
    bool is_synced = false;  // its name is on stable storage
  };
  Result<UniqueFd> open_shard(const Digest& digest);
  void measure(const std::string& name, int fd);
  Status walk_shard(DigestAlgorithm algorithm, const std::string& shard,
                    const std::function<Status(Found)>& visit,
                    const std::function<void(std::string)>& foreign) const;

  UniqueFd root_;
  const std::shared_ptr<Ledger> ledger_;
  std::map<DigestAlgorithm, UniqueFd> algorithms_;
  std::mutex mutex_;  // makes "what a name stands for" one thing between place, withdraw and remove
  std::map<std::string, Shard> shards_;
  std::unordered_map<Digest, int, DigestHash> pending_;
  std::unordered_set<Digest, DigestHash> replaced_;  // of the pending ones
  std::set<std::string> synced_names_;               // shards that sync_name has been to
};

}  // namespace entrepot::cache
