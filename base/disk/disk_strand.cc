#include "base/disk/disk_strand.h"

#include <atomic>

#include "base/mailbox.h"

namespace entrepot {

// `pending` counts what was submitted and has not finished. Who raises it from zero starts a run on the pool;
// the run goes on until it has brought it back to zero. So at most one run exists, and it alone drains the
// box.
class DiskStrand::State : public std::enable_shared_from_this<State> {
 public:
  explicit State(DiskPool& pool) : pool_(pool) {}

  void submit(const char* name, DiskPool::Job job) {
    box_.post(std::move(job));
    if (pending_.fetch_add(1) == 0) start(name);
  }

 private:
  void start(const char* name) {
    pool_.submit(name, [self = shared_from_this(), name] { self->run(name); });
  }

  // One batch, then to the end of the pool's queue: a strand that is never empty must not keep a thread.
  void run(const char* name) {
    size_t finished = box_.drain([](DiskPool::Job&& job) { job(); });
    if (pending_.fetch_sub(finished) != finished) start(name);
  }

  DiskPool& pool_;
  Mailbox<DiskPool::Job> box_;
  std::atomic<size_t> pending_{0};
};

DiskStrand::DiskStrand(DiskPool& pool) : state_(std::make_shared<State>(pool)) {}

void DiskStrand::submit(const char* name, DiskPool::Job job) { state_->submit(name, std::move(job)); }

}  // namespace entrepot
