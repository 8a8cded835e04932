#pragma once

#include <deque>
#include <memory>

#include "base/disk/disk_pool.h"

namespace entrepot {

/// Jobs that run one after the other, in the order given, on whatever thread of the pool is free: the writes
/// of one part, each followed by its share of the hash. Submitted from one thread (the part's home loop);
/// shared with the jobs under way, so it may be dropped at any time: what was submitted still runs.
class DiskStrand {
 public:
  explicit DiskStrand(DiskPool& pool);
  void submit(const char* name, DiskPool::Job job);

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace entrepot
