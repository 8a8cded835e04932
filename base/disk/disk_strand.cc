#include "base/disk/disk_strand.h"

#include <atomic>
#include <deque>

#include "base/mailbox.h"

namespace entrepot {

// `pending` counts what was submitted and has not finished. Who raises it from zero starts a run on the pool;
// the run goes on until it has brought it back to zero. So at most one run exists, and it alone drains the
// box.
//
// A job is counted before it is in the box, never after: a run that drained one that is not counted yet would
// take the count below what is left, and the next submit would start a second run beside it. The other way
// round a run may find the box empty, and comes again.
class DiskStrand::State : public std::enable_shared_from_this<State> {
 public:
  explicit State(DiskPool& pool) : pool_(pool) {}

  void submit(const char* name, DiskPool::Job job) {
    bool is_first = pending_.fetch_add(1) == 0;
    box_.post(std::move(job));
    if (is_first) start(name);
  }

 private:
  void start(const char* name) {
    pool_.submit(name, [self = shared_from_this(), name] { self->run(name); });
  }

  // A few jobs, then to the end of the pool's queue: a strand with much to do must not keep a thread.
  void run(const char* name) {
    box_.drain([this](DiskPool::Job&& job) { taken_.push_back(std::move(job)); });
    size_t finished = 0;
    for (; finished < kJobsAtOnce && !taken_.empty(); ++finished) {
      DiskPool::Job job = std::move(taken_.front());
      taken_.pop_front();
      job();
    }
    if (pending_.fetch_sub(finished) != finished) start(name);
  }

  static constexpr size_t kJobsAtOnce = 4;

  DiskPool& pool_;
  Mailbox<DiskPool::Job> box_;
  std::deque<DiskPool::Job> taken_;  // out of the box; the run's alone
  std::atomic<size_t> pending_{0};
};

DiskStrand::DiskStrand(DiskPool& pool) : state_(std::make_shared<State>(pool)) {}

void DiskStrand::submit(const char* name, DiskPool::Job job) { state_->submit(name, std::move(job)); }

}  // namespace entrepot
