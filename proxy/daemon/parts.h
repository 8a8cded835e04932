#pragma once

#include <memory>
#include <vector>

#include "base/disk/disk_pool.h"
#include "base/loop/loop_group.h"
#include "cache/cache.h"
#include "proxy/admin/admin_handler.h"
#include "proxy/admin/control_handler.h"
#include "proxy/admin/health.h"
#include "proxy/admin/hook_handler.h"
#include "proxy/config/config.h"
#include "proxy/daemon/cache_verbs.h"
#include "proxy/daemon/certificate_watch.h"
#include "proxy/daemon/push_hook.h"
#include "proxy/http/server.h"
#include "proxy/pull/addressing.h"
#include "proxy/pull/puller.h"
#include "proxy/registry/registry_handler.h"
#include "proxy/warm/healer.h"
#include "upstream/client.h"

namespace entrepot::daemon {

/// Everything the process is made of, in the order of making; the members go in the reverse. Main's thread.
class Parts {
 public:
  /// BLOCKING: opens the cache, loads certificates, binds the listeners. Nothing runs yet but the disk pool
  /// and the index writer.
  static Result<std::unique_ptr<Parts>> make(const config::Config& config, Logger& logger);
  ~Parts();

  /// Starts the loops and the listeners.
  void start();
  /// Lets running answers end until `timeout`; `done` is called on a loop's thread.
  void drain(Duration timeout, std::move_only_function<void()> done);
  /// Ends every transfer, connection and flow, and stops the loops.
  void stop();

  /// BLOCKING. Other limits for the cache, from now on. Errors: config_invalid, with what is wrong.
  Status set_limits(const config::Config::Cache& wanted);

  /// One line for the service manager and the log.
  std::string summary() const;

 private:
  Parts(const config::Config& config, Logger& logger);
  Status open_cache();
  Status make_upstreams();
  void make_pull_path();
  void make_handlers();
  Status make_hook();
  void start_scrub();
  Status add_listeners();
  Status add_data_listeners();
  Status add_admin_listener();
  Status add_control_listener();
  Status add_hooks_listener();
  void log_listener(const http::Listener& listener, const char* name);

  const config::Config& config_;
  Logger& logger_;
  SystemClock clock_;
  Metrics metrics_;
  admin::Health health_{clock_};
  std::unique_ptr<cache::Cache> cache_;
  std::unique_ptr<LoopGroup> loops_;
  std::unique_ptr<ThreadedDiskPool> disk_;       // fills
  std::unique_ptr<ThreadedDiskPool> syncs_;      // the ends of fills
  std::unique_ptr<ThreadedDiskPool> look_ups_;   // hits: never behind a fill
  std::unique_ptr<ThreadedDiskPool> proofs_;     // of blobs that must be read before they are given
  std::unique_ptr<ThreadedDiskPool> compute_;    // what needs no disk
  std::unique_ptr<ThreadedDiskPool> files_;      // of the configuration: passwords, certificates
  std::unique_ptr<ThreadedDiskPool> warming_;    // cold pages of what is being sent: never before a look-up
  std::unique_ptr<ThreadedDiskPool> managing_;   // verbs, one after the other
  std::unique_ptr<upstream::Shared> upstreams_;  // nullptr: offline
  std::vector<std::unique_ptr<upstream::Client>> clients_;  // by loop, as all that follow
  std::vector<std::unique_ptr<pull::Puller>> pullers_;
  std::unique_ptr<pull::Addressing> addressing_;
  std::vector<std::unique_ptr<registry::RegistryHandler>> registry_handlers_;
  std::unique_ptr<CacheVerbs> verbs_;
  std::vector<std::unique_ptr<admin::AdminHandler>> admin_handlers_;
  std::vector<std::unique_ptr<admin::ControlHandler>> control_handlers_;
  std::unique_ptr<warm::Prefetcher> prefetcher_;  // nullptr: hooks.prefetch is off
  std::unique_ptr<warm::Healer> healer_;          // nullptr: offline
  std::unique_ptr<PushHook> push_hook_;           // nullptr: no hooks listener; as the next
  std::vector<std::unique_ptr<admin::HookHandler>> hook_handlers_;
  std::unique_ptr<http::Server> server_;                 // the data listeners: drained
  std::unique_ptr<http::Server> admin_server_;           // admin, control and hooks: answer until the end
  std::unique_ptr<CertificateWatch> certificate_watch_;  // nullptr: no TLS
  std::vector<std::string> data_addresses_;
};

}  // namespace entrepot::daemon
