#include "proxy/manage/verify_job.h"

#include <pthread.h>

#include <utility>

namespace entrepot::manage {
namespace {

constexpr Duration kShowEvery{100};

}  // namespace

VerifyJob::~VerifyJob() {
  is_ending_ = true;
  if (thread_.joinable()) thread_.join();
}

void VerifyJob::start(bool repairs) {
  std::optional<Status> now = status();
  if (now && now->is_running) return;
  if (thread_.joinable()) thread_.join();
  {
    std::lock_guard lock(mutex_);
    status_ = Status{.is_running = true, .repairs = repairs, .failure = {}, .report = {}};
  }
  thread_ = std::thread([this, repairs] { run(repairs); });
}

std::optional<VerifyJob::Status> VerifyJob::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

void VerifyJob::run(bool repairs) {
  pthread_setname_np(pthread_self(), "verify");
  MonotonicTime shown_at{};
  cache::VerifyReport last;
  auto on_progress = [&](const cache::VerifyReport& report) {
    MonotonicTime now = clock_.monotonic();
    if (now - shown_at >= kShowEvery) {
      shown_at = now;
      last = report;
      show(report, true);
    }
    return !is_ending_.load();
  };
  Result<cache::VerifyReport> report = cache_.verify(repairs, on_progress, damaged_);
  if (report)
    show(*report, false);
  else
    show(last, false, report.error());
}

void VerifyJob::show(const cache::VerifyReport& report, bool is_running, std::optional<Error> failure) {
  std::lock_guard lock(mutex_);
  status_->is_running = is_running;
  status_->failure = std::move(failure);
  status_->report = report;
}

}  // namespace entrepot::manage
