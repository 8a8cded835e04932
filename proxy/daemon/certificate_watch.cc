#include "proxy/daemon/certificate_watch.h"

#include <sys/stat.h>

#include <array>
#include <filesystem>

namespace entrepot::daemon {
namespace {

constexpr Duration kSoon{20};
constexpr Duration kLater{10'000};

/// What changes when a file does.
using Signature = std::array<int64_t, 5>;

Signature signature_of(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return {};
  return {static_cast<int64_t>(file.st_ino), file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec,
          file.st_ctim.tv_nsec};
}

}  // namespace

// Everything but `seen` and `is_stale` is thread-safe or fixed; those belong to the job, of which there is
// one at a time.
struct CertificateWatch::State {
  Logger& logger;
  Gauge not_after;
  std::shared_ptr<http::TlsKeys> keys;
  Files files;
  std::array<Signature, 2> seen{};
  bool is_stale = false;  // what was seen last could not be loaded

  std::array<Signature, 2> signatures() const {
    return {signature_of(files.certificate), signature_of(files.key)};
  }
  void look() {
    std::array<Signature, 2> now = signatures();
    bool is_new = now != seen;
    if (!is_new && !is_stale) return;
    seen = now;
    Status loaded = keys->reload(files.certificate, files.key);
    is_stale = !loaded;
    if (loaded)
      logger.info("the certificate {} was loaded again", files.certificate);
    else if (is_new)
      logger.error("the certificate was not loaded again, the old one stays: {}", loaded.error().message);
    tell();
  }
  void tell() {
    not_after.set(static_cast<double>(
        std::chrono::duration_cast<std::chrono::seconds>(keys->not_after().time_since_epoch()).count()));
  }
};

CertificateWatch::CertificateWatch(EventLoop& loop, DiskPool& disk, Metrics& metrics,
                                   std::shared_ptr<http::TlsKeys> keys, Files files)
    : loop_(loop), disk_(disk) {
  Gauge not_after = metrics.gauge("entrepot_tls_certificate_not_after_seconds",
                                  "When the listeners' certificate ends to be good, in seconds since 1970");
  state_ = std::make_shared<State>(State{loop.logger(), not_after, std::move(keys), std::move(files)});
  state_->seen = state_->signatures();
  state_->tell();
}

void CertificateWatch::start() {
  soon_ = std::make_unique<Timer>(loop_, "certificate changed");
  later_ = std::make_unique<Timer>(loop_, "certificate");
  watch(state_->files.certificate);
  watch(state_->files.key);
  look_later();
}

void CertificateWatch::stop() {
  watches_.clear();
  soon_.reset();
  later_.reset();
}

void CertificateWatch::watch(const std::string& file) {
  watches_.push_back(std::make_unique<PathWatch>(loop_, "certificate changed", [this] { soon(); }));
  std::string directory = std::filesystem::path(file).parent_path().string();
  watches_.back()->start(directory.empty() ? "." : directory);
}

void CertificateWatch::soon() {
  if (!soon_->is_set()) soon_->start(kSoon, [this] { look(); });
}

void CertificateWatch::look_later() {
  later_->start(kLater, [this] {
    look();
    look_later();
  });
}

void CertificateWatch::look() {
  has_changed_ = is_looking_;
  if (std::exchange(is_looking_, true)) return;
  disk_.submit("certificate", [this, state = state_, &loop = loop_] {
    state->look();
    loop.post([this] {
      is_looking_ = false;
      if (has_changed_ && soon_) soon();
    });
  });
}

}  // namespace entrepot::daemon
