#include "cache/blob_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <set>

#include "base/check.h"
#include "cache/files.h"

namespace entrepot::cache {
namespace {

constexpr size_t kShardLength = 2;

std::string shard_of(const Digest& digest) { return digest.hex().substr(0, kShardLength); }

std::string path_of(const Digest& digest) {
  std::string hex = digest.hex();
  return hex.substr(0, kShardLength) + "/" + hex;
}

std::string shard_key(const Digest& digest) {
  return std::string(name_of(digest.algorithm())) + "/" + shard_of(digest);
}

}  // namespace

Result<std::unique_ptr<BlobFiles>> BlobFiles::open(int directory, std::shared_ptr<Ledger> ledger) {
  ENTREPOT_TRY(make_directory(directory, "blobs"));
  ENTREPOT_TRY_ASSIGN(UniqueFd root, open_directory(directory, "blobs"));
  std::unique_ptr<BlobFiles> files(new BlobFiles(std::move(root), std::move(ledger)));
  ENTREPOT_TRY(files->open_algorithm(DigestAlgorithm::sha256));
  ENTREPOT_TRY(files->open_algorithm(DigestAlgorithm::sha512));
  // Directories that were made just before a crash of the process, and not synced by it.
  ENTREPOT_TRY(sync_directory(files->root_.get(), "blobs"));
  files->ledger_->charge(cache::disk_bytes(files->root_.get()));
  return files;
}

Status BlobFiles::open_algorithm(DigestAlgorithm algorithm) {
  std::string name(name_of(algorithm));
  ENTREPOT_TRY(make_directory(root_.get(), name));
  ENTREPOT_TRY_ASSIGN(UniqueFd fd, open_directory(root_.get(), name));
  ENTREPOT_TRY(sync_directory(fd.get(), name));
  ledger_->charge(cache::disk_bytes(fd.get()));
  ENTREPOT_TRY_ASSIGN(std::vector<std::string> shards, list_directory(fd.get()));
  for (const std::string& shard : shards) {
    struct stat status;
    if (::fstatat(fd.get(), shard.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(status.st_mode))
      continue;
    shards_[name + "/" + shard] = {disk_bytes(status), true};
    ledger_->charge(disk_bytes(status));
  }
  algorithms_[algorithm] = std::move(fd);
  return {};
}

int BlobFiles::algorithm_fd(const Digest& digest) const { return algorithms_.at(digest.algorithm()).get(); }

Result<std::optional<BlobFiles::Opened>> BlobFiles::open_for_reading(const Digest& digest,
                                                                     uint64_t size) const {
  int fd =
      ::openat(algorithm_fd(digest), path_of(digest).c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  bool is_no_file = errno == ENOENT || errno == ELOOP || errno == ENOTDIR || errno == ENXIO;
  if (fd < 0 && is_no_file) return std::optional<Opened>();
  if (fd < 0) return fail(system_error("cannot open the file of " + digest.text(), errno));
  UniqueFd file(fd);
  struct stat status;
  if (::fstat(fd, &status) != 0) return fail(system_error("cannot stat the file of " + digest.text(), errno));
  if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) != size)
    return std::optional<Opened>();
  return Opened{std::move(file), status.st_ino, status.st_mtim};
}

Result<std::optional<struct stat>> BlobFiles::status_of(const Digest& digest) const {
  struct stat status;
  if (::fstatat(algorithm_fd(digest), path_of(digest).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0)
    return S_ISREG(status.st_mode) ? std::optional(status) : std::nullopt;
  if (errno == ENOENT || errno == ENOTDIR) return std::optional<struct stat>();
  return fail(system_error("cannot stat the file of " + digest.text(), errno));
}

Result<UniqueFd> BlobFiles::open_shard(const Digest& digest) {
  int parent = algorithm_fd(digest);
  std::string shard = shard_of(digest);
  struct stat status;
  // Whatever somebody has put in its place is none of ours.
  if (::fstatat(parent, shard.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(status.st_mode) &&
      ::renameat(parent, shard.c_str(), parent, (shard + ".not-ours").c_str()) != 0)
    return fail(system_error("cannot rename what stands in the place of a directory of blobs", errno));
  ENTREPOT_TRY(make_directory(parent, shard));
  return open_directory(parent, shard);
}

// Directories are not reserved for: they grow by a block now and then, out of the overhead that the ledger
// keeps free.
void BlobFiles::measure(const std::string& name, int fd) {
  Shard& shard = shards_[name];
  uint64_t now = cache::disk_bytes(fd);
  ledger_->recount(shard.disk_bytes, now);
  shard.disk_bytes = now;
}

Status BlobFiles::place(int parts, const std::string& part_name, const Digest& digest) {
  std::string name = digest.hex();
  std::string key = shard_key(digest);
  bool must_sync_parent = false;
  UniqueFd shard;
  {
    std::lock_guard lock(mutex_);
    ENTREPOT_TRY_ASSIGN(shard, open_shard(digest));
    if (::linkat(parts, part_name.c_str(), shard.get(), name.c_str(), 0) != 0) {
      if (errno != EEXIST) return fail(system_error("cannot put " + digest.text() + " in place", errno));
      std::string second_name = part_name + ".link";
      ENTREPOT_TRY(remove_name(parts, second_name));
      if (::linkat(parts, part_name.c_str(), parts, second_name.c_str(), 0) != 0)
        return fail(system_error("cannot replace " + digest.text(), errno));
      bool is_replaced = ::renameat(parts, second_name.c_str(), shard.get(), name.c_str()) == 0;
      if (!is_replaced && errno == EISDIR) {  // somebody has put a directory there
        ENTREPOT_TRY(clear_name(shard.get(), name));
        is_replaced = ::renameat(parts, second_name.c_str(), shard.get(), name.c_str()) == 0;
      }
      if (!is_replaced) return fail(system_error("cannot replace " + digest.text(), errno));
      replaced_.insert(digest);
    }
    ++pending_[digest];
    measure(key, shard.get());
    must_sync_parent = !shards_[key].is_synced;
  }
  Status synced = sync_directory(shard.get(), key);
  if (synced && must_sync_parent)
    synced = sync_directory(algorithm_fd(digest), std::string(name_of(digest.algorithm())));
  if (!synced) {
    (void)withdraw(digest);
    return synced;
  }
  std::lock_guard lock(mutex_);
  shards_[key].is_synced = true;
  return {};
}

bool BlobFiles::is_pending(const Digest& digest) {
  std::lock_guard lock(mutex_);
  return pending_.contains(digest);
}

void BlobFiles::settle(const Digest& digest) {
  std::lock_guard lock(mutex_);
  auto pending = pending_.find(digest);
  if (pending == pending_.end() || --pending->second > 0) return;
  pending_.erase(pending);
  replaced_.erase(digest);
}

Status BlobFiles::sync_name(const Digest& digest) {
  std::string key = shard_key(digest);
  {
    std::lock_guard lock(mutex_);
    if (synced_names_.contains(key)) return {};
  }
  ENTREPOT_TRY_ASSIGN(UniqueFd shard, open_directory(algorithm_fd(digest), shard_of(digest)));
  ENTREPOT_TRY(sync_directory(shard.get(), key));
  std::lock_guard lock(mutex_);
  synced_names_.insert(key);
  return {};
}

Status BlobFiles::withdraw(const Digest& digest) {
  std::lock_guard lock(mutex_);
  auto pending = pending_.find(digest);
  CHECK(pending != pending_.end());
  // The name stands for the file that was placed last, and that one's commit is still to come.
  if (--pending->second > 0) return {};
  pending_.erase(pending);
  if (replaced_.erase(digest) > 0) return {};
  ENTREPOT_TRY(remove_name(algorithm_fd(digest), path_of(digest)));
  return {};
}

Status BlobFiles::remove(const std::vector<Digest>& digests, std::vector<Digest>& removed) {
  std::map<std::string, UniqueFd> touched;
  Status first_failure;
  for (const Digest& digest : digests) {
    std::string key = shard_key(digest);
    if (!touched.contains(key)) {
      Result<UniqueFd> shard = open_directory(algorithm_fd(digest), shard_of(digest));
      if (!shard && ::faccessat(algorithm_fd(digest), shard_of(digest).c_str(), F_OK, 0) == 0) {
        // It is there and can't be opened now (too many files, say): its removal could not be made durable.
        if (first_failure) first_failure = fail(shard.error());
        continue;
      }
      if (shard) touched[key] = std::move(*shard);
    }
    std::lock_guard lock(mutex_);
    if (!pending_.contains(digest)) {
      Result<bool> gone = clear_name(algorithm_fd(digest), path_of(digest));
      if (!gone) {
        if (first_failure) first_failure = fail(gone.error());
        continue;
      }
    }
    removed.push_back(digest);
  }
  for (const auto& [key, shard] : touched) {
    Status synced = sync_directory(shard.get(), key);
    if (synced) continue;
    // Not known to be gone: none of this round counts as removed, their rows stay doomed.
    removed.clear();
    return synced;
  }
  return first_failure;
}

Status BlobFiles::walk(const std::function<Status(Found)>& visit,
                       const std::function<void(std::string)>& foreign) const {
  for (const auto& [algorithm, fd] : algorithms_) {
    ENTREPOT_TRY_ASSIGN(std::vector<std::string> shards, list_directory(fd.get()));
    for (const std::string& shard : shards) ENTREPOT_TRY(walk_shard(algorithm, shard, visit, foreign));
  }
  return {};
}

Status BlobFiles::walk_shard(DigestAlgorithm algorithm, const std::string& shard,
                             const std::function<Status(Found)>& visit,
                             const std::function<void(std::string)>& foreign) const {
  std::string algorithm_name(name_of(algorithm));
  int parent = algorithms_.at(algorithm).get();
  struct stat status;
  if (::fstatat(parent, shard.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT)
    return fail(system_error("cannot look at blobs/" + algorithm_name + "/" + shard, errno));
  if (!S_ISDIR(status.st_mode)) {
    foreign("blobs/" + algorithm_name + "/" + shard);
    return {};
  }
  ENTREPOT_TRY_ASSIGN(UniqueFd fd, open_directory(parent, shard));
  ENTREPOT_TRY_ASSIGN(std::vector<std::string> names, list_directory(fd.get()));
  for (const std::string& name : names) {
    std::optional<Digest> digest = Digest::parse(algorithm_name + ":" + name);
    if (::fstatat(fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // evicted meanwhile
      return fail(system_error("cannot look at blobs/" + algorithm_name + "/" + shard + "/" + name, errno));
    }
    if (digest && shard_of(*digest) == shard && S_ISREG(status.st_mode)) {
      Result<UniqueFd> file = open_file(fd.get(), name, O_RDONLY | O_NONBLOCK);
      if (!file) {
        if (::fstatat(fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) continue;
        return fail(std::move(file).error());
      }
      ENTREPOT_TRY(visit({*digest, std::move(*file)}));
    } else {
      foreign("blobs/" + algorithm_name + "/" + shard + "/" + name);
    }
  }
  return {};
}

}  // namespace entrepot::cache
