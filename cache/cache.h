#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/shared_fd.h"
#include "cache/images.h"

// What the rest of the house sees of the cache. docs/cache-format.md describes what is on disk.

namespace entrepot::cache {

class Inventory;
class Part;

struct Options {
  std::string directory;
  uint64_t max_size = 0;    // bytes, of everything in the directory, as the file system counts it (blocks)
  uint64_t min_free = 0;    // bytes of the file system that stay free
  bool offline = false;     // nothing is evicted
  uint64_t scrub_rate = 0;  // bytes a second that are hashed again; 0 = none
  bool is_rebuild = false;  // the index is made anew from the blobs and refs.log
  bool is_run = true;       // false: opened to be looked after, which says nothing of which parts are of use
};

/// What a manifest says of something it refers to (image-spec descriptor.md).
struct Descriptor {
  Digest digest;
  uint64_t size = 0;
};

struct FoundBlob {
  SharedFd file;
  uint64_t size = 0;
  bool is_doubtful = false;  // not to be given before Cache::prove
  uint64_t inode = 0;
  struct timespec written {};
};

/// A manifest of more than this is given as its file, not in memory.
inline constexpr uint64_t kLargeManifest = 64 * 1024;

/// A blob that was committed and is no more: its file was not what it should be.
struct DamagedBlob {
  Digest digest;
  bool is_manifest = false;
  std::vector<Repository> holders;  // some that had a link to it
};

/// What a verification has found, or has found so far.
struct VerifyReport {
  static constexpr size_t kMaxProblems = 1000;
  struct Problem {
    Digest digest;
    std::string complaint;
  };
  uint64_t blobs = 0;       // in the index
  uint64_t checked = 0;     // of them
  uint64_t bytes = 0;       // read
  uint64_t damaged = 0;     // or missing; dropped, when it is to repair
  uint64_t unreadable = 0;  // the disk gave an error
  uint64_t unknown = 0;     // files that the index does not know; taken in, when it is to repair, or removed
  uint64_t foreign = 0;     // files that are none of a cache's; left alone
  std::vector<Problem> problems;           // the first of them
  std::vector<std::string> foreign_paths;  // the first of them
};
/// Called often, on the verification's thread. False: leave off.
using OnVerifyProgress = std::function<bool(const VerifyReport&)>;

/// Hashed a moment ago.
struct FoundManifest {
  std::string media_type;  // the upstream's Content-Type, without parameters
  uint64_t size = 0;       // at most 4 MiB
  std::string bytes;       // as they came; or, of a large one:
  SharedFd file;
};

struct FoundTag {
  Digest digest;
  WallTime checked_at;  // when the upstream last confirmed it; the epoch: it has said that there is none
};

/// What the index learns in one transaction. Everything in it becomes durable together or not at all.
struct Commit {
  struct Tag {
    Repository repository;
    std::string tag;
    Digest digest;
    WallTime checked_at;
  };
  struct Link {  // this repository holds this object: by a verified manifest, or by an upstream's 200
    Repository repository;
    Descriptor object;  // size 0 = not known
  };
  struct Blob {  // its file is in place and synced (Part::place)
    Digest digest;
    uint64_t size = 0;
    std::string manifest_media_type;  // empty = not a manifest
    std::vector<Digest> children;     // of a manifest
    std::optional<Digest> subject = {};
  };
  struct ImagePin {  // that of a manifest, with which others are pinned or not
    Digest manifest;
    bool is_pinned = false;
    WallTime at = {};
  };
  struct Removal {  // the repository holds it no more; what nobody holds goes, unless it is pinned
    Repository repository;
    Digest digest;
    uint64_t before_age = UINT64_MAX;  // not when its link is of this age or younger
  };
  struct TagRemoval {
    Repository repository;
    std::string tag;
  };
  std::vector<Blob> blobs;
  std::vector<Link> links;
  std::vector<Tag> tags;
  std::vector<Digest> pins;  // committed blobs, or blobs of this commit, that are never evicted from now on
  std::vector<Digest> unpins;
  std::vector<ImagePin> image_pins = {};
  std::vector<Removal> removals = {};
  std::vector<TagRemoval> tag_removals = {};
};

/// The disk cache: blobs and manifests by digest, tags and links by repository, the budget. Made by main,
/// outlives all loops. Functions marked BLOCKING do file or index work and are called from disk-pool threads
/// only; all others return at once and may be called from any thread.
class Cache {
 public:
  using Done = std::move_only_function<void(Status)>;

  /// BLOCKING. Takes the lock, opens or makes the index, recovers after a crash (doomed rows, parts/), starts
  /// the index writer. Errors: the directory is in use by another process, is not writable, is of a newer
  /// format.
  static Result<std::unique_ptr<Cache>> open(Options options, const Clock& clock, Logger& logger,
                                             Metrics& metrics);
  /// Commits what waits, closes the index, gives up the lock. REQUIRES: nobody calls any more.
  ~Cache();

  /// BLOCKING. Commits what waits and ends the index writer: no `done` and no listener is called after this.
  /// What was opened stays good. Nothing is committed any more.
  void stop();

  // ---- looking up: BLOCKING, thread-safe ----

  /// A complete, verified blob that `repository` holds by a link; nothing when one of both is missing, or
  /// when the file has gone or has another size than the index says (then the row is dropped too).
  Result<std::optional<FoundBlob>> find_blob(const Repository& repository, const Digest& digest);
  /// Reads all of a blob that is doubtful still; any other is right. A wrong one is dropped, as is one that
  /// cannot be read. `on_piece`: now and then.
  Result<bool> prove(const Digest& digest, const FoundBlob& blob, const std::function<void()>& on_piece = {});
  Result<std::optional<FoundManifest>> find_manifest(const Repository& repository, const Digest& digest);
  Result<std::optional<FoundTag>> find_tag(const Repository& repository, const std::string& tag);
  /// The repository's tags after that one, in the order of their bytes, at most `most`.
  Result<std::vector<std::string>> list_tags(const Repository& repository, const std::string& after,
                                             size_t most);
  /// The manifests here whose subject is this one, and to which the repository has a link, at most `most`.
  Result<std::vector<Digest>> list_referrers(const Repository& repository, const Digest& subject,
                                             size_t most);
  /// The link's descriptor: what a manifest of this repository said of the size of `digest`; nothing without
  /// a link.
  Result<std::optional<Descriptor>> find_link(const Repository& repository, const Digest& digest);
  /// Whether the blob is committed, whoever holds it, and its file is there with the right size.
  /// Not when it is known to be wrong; it may be doubtful.
  Result<bool> contains(const Digest& digest);
  /// The same, and that somebody could be given it: some repository holds it by a link. Only then is it
  /// acknowledged. (A blob that was placed when the process was killed is committed by the next, and its
  /// links come with the next who asks.)
  Result<bool> is_acknowledged(const Digest& digest);

  // ---- filling ----

  /// BLOCKING. The part of `digest`, with what an earlier fetch left in it (Part::found), and room reserved
  /// for `size` bytes (0 = not known: it reserves in steps as it grows). Evicts to make room, for at most a
  /// second. disk_full when there is none: the object is then not stored; overloaded while an earlier part of
  /// the digest is placed and its commit not done. REQUIRES: no other part of this digest is open (a digest
  /// has one fill).
  Result<std::unique_ptr<Part>> open_part(const Digest& digest, uint64_t size);
  /// Whether a blob of `size` bytes is larger than the budget can ever hold.
  bool is_too_large(uint64_t size) const;
  /// Queues `commit` for the index writer, which takes all that waits into one transaction. `done` runs on
  /// the writer's thread when it is durable, or has failed.
  void commit(Commit commit, Done done);

  /// Something could not be stored or looked up: told by whoever has noticed, and logged now and then. Any
  /// thread.
  void note_failure(const std::string& what, const Error& error);
  /// The disk has given several errors in the last minute. Any thread.
  bool is_degraded() const;

  // ---- the order of eviction ----

  /// The blob was used now. Merged, and written with the next commit or within seconds; lost in a crash at
  /// worst.
  void touch(const Digest& digest);
  /// `forget` is called, on the writer's thread, with each digest that is about to be evicted or purged:
  /// whoever holds an open descriptor or bytes of it in memory lets go. Set once, before the first look-up.
  void set_evict_listener(std::move_only_function<void(const Digest&)> forget);

  // ---- looking after what is there ----

  /// Begins to hash all blobs again, at `scrub_rate`, until `stop`. What is damaged is dropped; then
  /// `damaged` is called, on the writer's thread. Once.
  void start_scrub(std::function<void(DamagedBlob)> damaged, Metrics& metrics);

  /// BLOCKING, for as long as it takes to read everything. Compares all blobs with their files, and all files
  /// with the index. `repairs`: what is damaged is dropped, and `damaged` told of it as of start_scrub (it
  /// may be empty); files that are right and not known are taken in; wrong ones are removed. All that is
  /// durable when it returns. Errors: cancelled; the index's; the disk's, when it gives one after the other.
  Result<VerifyReport> verify(bool repairs, const OnVerifyProgress& on_progress,
                              const std::function<void(DamagedBlob)>& damaged);

  // ---- managing ----

  /// While it is set, whoever is told that something is here makes its link younger: Removal::before_age then
  /// spares it. Any thread.
  void set_purging(bool is_purging);
  /// What is in it, by image.
  Inventory inventory() const;
  /// BLOCKING. `commit`, and waits until it is durable or has failed.
  Status commit_and_wait(Commit commit);

  struct Limits {
    uint64_t max_size = 0;
    uint64_t min_free = 0;
  };
  /// As Options had them, or as they were set since. Any thread.
  Limits limits() const;
  /// From now on; what is too much then is evicted in slices, beginning at once. config_invalid when
  /// max_size is too small for the index and for what is pinned, with the figure that is needed. BLOCKING.
  Status set_limits(const Limits& limits);

  /// Bytes in use, as counted against max_size.
  uint64_t used() const;
  const Options& options() const;

 private:
  struct State;
  explicit Cache(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace entrepot::cache
