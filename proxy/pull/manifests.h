#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/task/completion.h"
#include "proxy/pull/context.h"
#include "proxy/pull/manifest_document.h"

namespace entrepot::pull {

class Puller;

/// A manifest whose bytes hash to its digest. Immutable, shared between loops. A large one (over
/// cache::kLargeManifest) is in memory only until it is stored: whoever asks gets its file, so that slow
/// clients hold a descriptor each and not 4 MiB.
struct Manifest {
  Digest digest;
  std::string media_type;
  uint64_t size = 0;
  std::string bytes;  // or:
  SharedFd file;
  std::vector<cache::Descriptor> children;  // of a fetched one: what it links to its repository
  std::optional<Digest> subject = {};       // of a fetched one
};

/// The bytes, wherever they are. BLOCKING.
Result<std::string> read_bytes(const Manifest& manifest);

struct PulledManifest {
  std::shared_ptr<const Manifest> manifest;
  Outcome outcome = Outcome::hit;
  bool is_indexed = false;  // it came out of the index, and need not be stored any more
};

/// Manifests by digest: from the cache, else fetched whole into memory (at most 4 MiB), verified and stored.
/// At the home loop of its digest a manifest of one repository is fetched once, however many ask; the fetched
/// one stays visible there until the index holds it (read your writes).
class Manifests {
 public:
  Manifests(Context& context, Puller& puller)
      : context_(context), puller_(puller), large_checks_(context.loop, 1) {}

  /// Any request's loop.
  Task<Result<PulledManifest>> get(cache::Repository repository, Digest digest);
  /// What the upstream gives for a tag now, whatever it says of its digest: that is computed. Costs a GET
  /// each time. Any request's loop.
  Task<Result<PulledManifest>> get_by_tag(cache::Repository repository, std::string tag);
  /// In the cache, and the repository's. Any request's loop.
  Task<bool> has(cache::Repository repository, Digest digest);
  /// The digest's home loop. One that is `given` has just been fetched, and is only stored.
  Task<Result<PulledManifest>> fetch_once(cache::Repository repository, Digest digest,
                                          std::shared_ptr<const Manifest> given = nullptr,
                                          bool is_disk_silent = false);
  bool is_fetching(const Digest& digest) const;

 private:
  struct Fetch {
    Digest digest;
    std::shared_ptr<const Manifest> manifest;  // set when it may be given: verified, and stored when large
    Slots::Slot room;                          // of a large one, while it is in memory
    std::vector<Completion<Result<PulledManifest>>*> waiters;
  };
  using Key = std::string;

  struct Fetched {
    std::shared_ptr<const Manifest> manifest;
    Slots::Slot room;  // of a large one
  };

  Task<void> run(Key key, cache::Repository repository, Digest digest, std::shared_ptr<const Manifest> given,
                 bool is_disk_silent);
  Task<Result<std::shared_ptr<const Manifest>>> find(cache::Repository repository, Digest digest);
  Task<std::shared_ptr<const Manifest>> find_placed(cache::Repository repository, Digest digest);
  Task<Result<Fetched>> fetch(cache::Repository repository, Reference reference);
  Task<Result<Fetched>> ask_origins(upstream::Registry& registry, cache::Repository repository,
                                    Reference reference);
  Task<Result<Fetched>> fetch_from(upstream::Registry& registry, size_t origin, cache::Repository repository,
                                   Reference reference);
  Task<Status> store(cache::Repository repository, std::shared_ptr<const Manifest> manifest);
  Task<Result<cache::Commit>> place(cache::Repository repository, std::shared_ptr<const Manifest> manifest);
  void give(const Key& key, std::shared_ptr<const Manifest> manifest);
  void tell(Key key, Result<PulledManifest> result);
  Task<void> expect_children(std::shared_ptr<const Manifest> manifest, cache::Repository repository,
                             bool is_pending);

  Context& context_;
  Puller& puller_;
  std::unordered_map<Key, Fetch> fetches_;
  Slots large_checks_;  // JSON takes several times its size while it is parsed: one at a time
};

}  // namespace entrepot::pull
