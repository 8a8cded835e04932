#pragma once

#include <chrono>

#include "base/disk/disk_pool.h"
#include "base/loop/loop_group.h"
#include "cache/cache.h"
#include "upstream/client.h"

namespace entrepot::pull {

/// What the parts of one loop's pull path stand on. Made by main, one per loop; everything in it outlives the
/// loop.
struct Context {
  LoopGroup& loops;
  EventLoop& loop;
  DiskPool& disk;      // for fills: may be busy for as long as a disk is slow
  DiskPool& look_ups;  // for what a waiting client needs: index, open, small reads
  cache::Cache& cache;
  upstream::Client& upstreams;
  Logger& logger;
  Metrics& metrics;
};

/// How an answer came about; becomes the Cache-Status field (RFC 9211) and the access log's.
enum class Outcome {
  hit,          // from the cache, nobody asked
  revalidated,  // from the cache, after the upstream confirmed the tag
  stale,        // from the cache, the upstream could not be asked
  miss,         // fetched for this request
  collapsed,    // fetched, shared with a request that came before
};

/// An object of one repository, and what is known of it from the index.
struct Source {
  cache::Repository repository;
  Digest digest;
  bool has_link =
      false;  // a verified manifest of this repository names it, or the upstream gave it here before
  uint64_t link_size = 0;  // what that manifest says of its size; 0 = not known
};

}  // namespace entrepot::pull
