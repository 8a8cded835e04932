#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/disk/disk_pool.h"
#include "base/loop/event_loop.h"
#include "base/loop/path_watch.h"
#include "base/loop/timer.h"
#include "base/metrics.h"
#include "proxy/http/tls.h"

namespace entrepot::daemon {

/// Loads a listener's certificate and key again when their files change: in place, by renaming, by the
/// symbolic links of certbot and Kubernetes. A pair that is half written, or does not fit, is logged once and
/// the old one stays. Made by main; from `start` on it belongs to one loop's thread.
class CertificateWatch {
 public:
  struct Files {
    std::string certificate;
    std::string key;
  };
  CertificateWatch(EventLoop& loop, DiskPool& disk, Metrics& metrics, std::shared_ptr<http::TlsKeys> keys,
                   Files files);

  void start();
  /// REQUIRES: the last call, before the loop ends.
  void stop();

 private:
  struct State;  // shared with the job that looks
  void watch(const std::string& file);
  void soon();
  void look();
  void look_later();

  EventLoop& loop_;
  DiskPool& disk_;
  std::shared_ptr<State> state_;
  std::vector<std::unique_ptr<PathWatch>> watches_;
  std::unique_ptr<Timer> soon_;   // after a change: more of them are to come
  std::unique_ptr<Timer> later_;  // where changes are not heard of (NFS)
  bool is_looking_ = false;
  bool has_changed_ = false;  // again, while looking
};

}  // namespace entrepot::daemon
