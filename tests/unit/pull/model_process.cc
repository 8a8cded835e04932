#include "model_process.h"

#include <fcntl.h>

#include <cstdlib>
#include <future>
#include <latch>
#include <utility>

#include "base/check.h"

namespace entrepot::model {
namespace {

// With one loop one thread, so that everything is in one order; else so many that those who wait for room in
// the cache leave some.
size_t disk_threads(size_t loops) { return loops == 1 ? 1 : 16; }

// The model's blobs are small.
constexpr pull::StretchSizes kStretches{
    .soon = 8 * 1024, .longest = 64 * 1024, .block = 4 * 1024, .worth_skipping = 16 * 1024};

}  // namespace

bool is_log_wanted() { return std::getenv("ENTREPOT_TEST_LOG") != nullptr; }

Logger::Options ModelProcess::quiet(const UniqueFd& null) {
  return {.level = LogLevel::info, .format = LogFormat::text, .fd = is_log_wanted() ? 2 : null.get()};
}

ModelProcess::ModelProcess(const Setup& setup, StandingClock& clock, ModelUpstream& upstream)
    : null_(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
      logger_(quiet(null_)),
      disk_(disk_threads(setup.loops)),
      loops_(setup.loops, clock, logger_, metrics_) {
  cache::Options options;
  options.directory = setup.directory;
  options.max_size = setup.max_size;
  auto opened = cache::Cache::open(options, clock, logger_, metrics_);
  CHECK(opened);
  cache_ = std::move(*opened);
  for (size_t i = 0; i < loops_.size(); ++i) {
    clients_.push_back(std::make_unique<ModelClient>(upstream, loops_.at(i), setup.origins));
    pullers_.push_back(std::make_unique<pull::Puller>(
        pull::Context{loops_, loops_.at(i), disk_, disk_, disk_, disk_, disk_, *cache_, *clients_[i], logger_,
                      metrics_, kStretches, setup.disk_patience}));
  }
  std::vector<pull::Puller*> siblings;
  for (auto& puller : pullers_) siblings.push_back(puller.get());
  for (auto& puller : pullers_) puller->connect(siblings);
  loops_.start();
}

ModelProcess::~ModelProcess() {
  loops_.stop();
  cache_->stop();
  pullers_.clear();
  clients_.clear();
}

int ModelProcess::flows() const {
  int sum = 0;
  for (size_t i = 0; i < loops_.size(); ++i) sum += loops_.at(i).flows();
  return sum;
}

uint64_t ModelProcess::evictions() {
  return static_cast<uint64_t>(metrics_.counter("entrepot_cache_evicted_total", "").value());
}

void ModelProcess::settle(bool has_writer_work) {
  while (true) {
    uint64_t before = settle_loops();
    if (!has_writer_work) return;
    settle_writer();
    uint64_t after = round();
    if (after - before == size()) return;
  }
}

// A round takes every loop once through its mail. A job that is on its way during a round may post to a loop
// behind that one's mark, so it takes two rounds without anything else to know that there was nothing.
uint64_t ModelProcess::settle_loops() {
  uint64_t before = round();
  for (int quiet = 0; quiet < 2;) {
    uint64_t after = round();
    quiet = after - before == size() ? quiet + 1 : 0;
    before = after;
  }
  return before;
}

// How many jobs all loops have begun since they were made, the marks of this round included.
uint64_t ModelProcess::round() {
  std::latch all(static_cast<std::ptrdiff_t>(size()));
  for (size_t i = 0; i < size(); ++i) loop(i).post([&all] { all.count_down(); });
  all.wait();
  uint64_t sum = 0;
  for (size_t i = 0; i < size(); ++i) sum += loop(i).jobs_begun();
  return sum;
}

// An empty commit comes back when all that was sent before is taken, and the second when what followed that
// is done: the files of what was evicted are gone.
void ModelProcess::settle_writer() {
  for (int i = 0; i < 2; ++i) {
    std::promise<void> done;
    cache_->commit({}, [&done](const Status&) { done.set_value(); });
    done.get_future().wait();
  }
}

}  // namespace entrepot::model
