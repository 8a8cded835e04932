#pragma once

#include <chrono>

#include "base/disk/disk_pool.h"
#include "base/disk/run_on_disk.h"
#include "base/loop/loop_group.h"
#include "cache/cache.h"
#include "upstream/client.h"

namespace entrepot::pull {

/// How a fill's bytes are fetched beside its main stream (Stretches).
struct StretchSizes {
  /// Where the main stream is this near, another request would hardly be faster.
  uint64_t soon = 512u << 10;
  /// At most so much by one request.
  uint64_t longest = 8u << 20;
  /// Stretches begin and end at multiples of this: a file shows where it has holes in whole blocks only, and
  /// a part that a crash has left is adopted up to its first hole.
  uint64_t block = 64u << 10;
  /// What the main stream finds there already and is shorter is read and dropped: a new request would cost
  /// more.
  uint64_t worth_skipping = 1u << 20;
};

/// What the parts of one loop's pull path stand on. Made by main, one per loop; everything in it outlives the
/// loop.
struct Context {
  LoopGroup& loops;
  EventLoop& loop;
  DiskPool& disk;      // for fills: may be busy for as long as a disk is slow
  DiskPool& syncs;     // for what waits until bytes are on stable storage: no other fill waits behind it
  DiskPool& look_ups;  // for what a waiting client needs: index, open, small reads
  DiskPool& proofs;    // for reading all of a blob before it is given
  DiskPool& compute;   // hashing and parsing: never behind a disk
  cache::Cache& cache;
  upstream::Client& upstreams;
  Logger& logger;
  Metrics& metrics;
  StretchSizes stretches = {};
  /// How long a client waits for the disk before the upstream is asked in its place; nothing: as long as it
  /// takes.
  DiskPatience disk_patience = {};
};

/// How an answer came about; becomes the Cache-Status field (RFC 9211) and the access log's.
enum class Outcome {
  hit,          // from the cache, nobody asked
  revalidated,  // from the cache, after the upstream confirmed the tag
  stale,        // from the cache, the upstream could not be asked
  limited,      // the same, because of the upstream's rate limit
  miss,         // fetched for this request
  collapsed,    // fetched, shared with a request that came before
  bypass,       // fetched past the cache, which can't hold it
};

inline bool is_stale(Outcome outcome) { return outcome == Outcome::stale || outcome == Outcome::limited; }
/// How an old answer is given, now that the upstream gave this error in place of a new one.
inline Outcome stale_by(const Error& error) {
  return error.code == Errc::upstream_rate_limited ? Outcome::limited : Outcome::stale;
}

/// An object of one repository, and what is known of it from the index.
struct Source {
  cache::Repository repository;
  Digest digest;
  bool has_link =
      false;  // a verified manifest of this repository names it, or the upstream gave it here before
  uint64_t link_size = 0;  // what that manifest says of its size; 0 = not known
};

}  // namespace entrepot::pull
