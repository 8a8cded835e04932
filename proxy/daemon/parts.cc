#include "proxy/daemon/parts.h"

#include <algorithm>
#include <thread>

#include "proxy/daemon/process_setup.h"
#include "proxy/daemon/service_manager.h"
#include "upstream/offline_client.h"

namespace entrepot::daemon {
namespace {

constexpr unsigned kMaxLoops = 16;
constexpr size_t kFillThreads = 4;
constexpr size_t kSyncThreads = 16;  // which do nothing but wait
constexpr size_t kLookUpThreads = 4;
constexpr size_t kProofThreads = 4;
constexpr size_t kComputeThreads = 2;
constexpr size_t kFileThreads = 2;
constexpr size_t kWarmingThreads = 4;
constexpr Duration kDiskPatience{2000};
constexpr mode_t kControlMode = 0600;
constexpr size_t kMaxAdminConnections = 64;

size_t loop_count(int configured) {
  if (configured > 0) return static_cast<size_t>(configured);
  return std::clamp(std::thread::hardware_concurrency(), 1u, kMaxLoops);
}

template <class T>
std::vector<T*> pointers(const std::vector<std::unique_ptr<T>>& owners) {
  std::vector<T*> all;
  for (const std::unique_ptr<T>& owner : owners) all.push_back(owner.get());
  return all;
}

template <class T>
std::vector<http::Handler*> as_handlers(const std::vector<std::unique_ptr<T>>& owners) {
  std::vector<http::Handler*> all;
  for (const std::unique_ptr<T>& owner : owners) all.push_back(owner.get());
  return all;
}

// What the control socket tells of an object is what the pull path knows of it.
admin::ObjectState shown(pull::ObjectState state) {
  switch (state) {
    case pull::ObjectState::absent:
      return admin::ObjectState::absent;
    case pull::ObjectState::filling:
      return admin::ObjectState::filling;
    case pull::ObjectState::committed:
      return admin::ObjectState::committed;
  }
  return admin::ObjectState::absent;
}

Task<Result<admin::ObjectState>> state_of(pull::Puller& puller, Digest digest) {
  Result<pull::ObjectState> state = co_await puller.state_of(digest);
  if (!state) co_return fail(state.error());
  co_return shown(*state);
}

}  // namespace

Parts::Parts(const config::Config& config, Logger& logger) : config_(config), logger_(logger) {}

Parts::~Parts() {
  // Jobs and commits end while the loops they post to are still there.
  disk_.reset();
  syncs_.reset();
  look_ups_.reset();
  proofs_.reset();
  compute_.reset();
  files_.reset();
  warming_.reset();
  managing_.reset();
  verbs_.reset();  // and what it verifies
  if (cache_) cache_->stop();
  server_.reset();
  admin_server_.reset();
}

Result<std::unique_ptr<Parts>> Parts::make(const config::Config& config, Logger& logger) {
  std::unique_ptr<Parts> parts(new Parts(config, logger));
  ENTREPOT_TRY(parts->open_cache());
  parts->loops_ =
      std::make_unique<LoopGroup>(loop_count(config.server.threads), parts->clock_, logger, parts->metrics_);
  parts->disk_ = std::make_unique<ThreadedDiskPool>(kFillThreads, logger, parts->metrics_);
  parts->syncs_ = std::make_unique<ThreadedDiskPool>(kSyncThreads, logger, parts->metrics_);
  parts->look_ups_ = std::make_unique<ThreadedDiskPool>(kLookUpThreads, logger, parts->metrics_);
  parts->proofs_ = std::make_unique<ThreadedDiskPool>(kProofThreads, logger, parts->metrics_);
  parts->files_ = std::make_unique<ThreadedDiskPool>(kFileThreads, logger, parts->metrics_);
  parts->compute_ = std::make_unique<ThreadedDiskPool>(kComputeThreads, logger, parts->metrics_);
  parts->warming_ = std::make_unique<ThreadedDiskPool>(kWarmingThreads, logger, parts->metrics_);
  parts->managing_ = std::make_unique<ThreadedDiskPool>(1, logger, parts->metrics_);
  ENTREPOT_TRY(parts->make_upstreams());
  parts->make_pull_path();
  parts->make_handlers();
  ENTREPOT_TRY(parts->make_hook());
  ENTREPOT_TRY(parts->add_listeners());
  return parts;
}

Status Parts::open_cache() {
  cache::Options options;
  options.directory = config_.cache.directory;
  ENTREPOT_TRY_ASSIGN(options.max_size,
                      config::resolve_size(config_.cache.max_size, config_.cache.directory));
  options.min_free = config_.cache.min_free;
  options.offline = config_.cache.offline;
  options.scrub_rate = config_.cache.scrub_rate;
  ENTREPOT_TRY_ASSIGN(cache_, cache::Cache::open(std::move(options), clock_, logger_, metrics_));
  return {};
}

Status Parts::set_limits(const config::Config::Cache& wanted) {
  cache::Cache::Limits limits{0, wanted.min_free};
  ENTREPOT_TRY_ASSIGN(limits.max_size, config::resolve_size(wanted.max_size, wanted.directory));
  return cache_->set_limits(limits);
}

Status Parts::make_upstreams() {
  if (config_.cache.offline) {
    logger_.info("offline: nobody is asked, and nothing is evicted");
    for (size_t i = 0; i < loops_->size(); ++i)
      clients_.push_back(upstream::make_offline_client(config_.upstreams));
    return {};
  }
  ENTREPOT_TRY_ASSIGN(upstreams_,
                      upstream::Shared::make(config_.upstreams, *files_, clock_, logger_, metrics_));
  for (size_t i = 0; i < loops_->size(); ++i)
    clients_.push_back(upstream::Client::make(*upstreams_, *loops_, loops_->at(i)));
  std::vector<upstream::Client*> siblings = pointers(clients_);
  for (upstream::Client* client : siblings) client->connect(siblings);
  return {};
}

void Parts::make_pull_path() {
  for (size_t i = 0; i < loops_->size(); ++i) {
    pull::Context context{*loops_,   loops_->at(i), *disk_,       *syncs_, *look_ups_, *proofs_,
                          *compute_, *cache_,       *clients_[i], logger_, metrics_};
    // Offline there is nothing else to turn to.
    if (!config_.cache.offline) context.disk_patience = kDiskPatience;
    pullers_.push_back(std::make_unique<pull::Puller>(context));
  }
  std::vector<pull::Puller*> siblings = pointers(pullers_);
  for (pull::Puller* puller : siblings) puller->connect(siblings);
}

void Parts::make_handlers() {
  health_.set_detail([this] {
    return std::string(cache_->is_degraded()
                           ? "cache: degraded: the disk gives errors, and what is fetched may not be stored"
                           : "");
  });
  addressing_ = std::make_unique<pull::Addressing>(config_.upstreams);
  admin::AdminHandler::Options admin_options;
  if (config_.admin.listen) admin_options.own_hosts.push_back(config_.admin.listen->host);
  for (size_t i = 0; i < loops_->size(); ++i) {
    pull::Puller& puller = *pullers_[i];
    registry_handlers_.push_back(std::make_unique<registry::RegistryHandler>(
        *addressing_, puller,
        registry::BlobRequests::Options{.unverified_ranges = config_.cache.unverified_ranges}));
    admin_handlers_.push_back(
        std::make_unique<admin::AdminHandler>(loops_->at(i), *compute_, metrics_, health_, admin_options));
  }
  // Offline, what is damaged is dropped all the same: wrong bytes are of no use to anybody.
  if (!config_.cache.offline) healer_ = std::make_unique<warm::Healer>(*pullers_.front(), metrics_);
  auto heal = [this](cache::DamagedBlob blob) {
    if (healer_) healer_->heal(std::move(blob));
  };
  verbs_ = std::make_unique<CacheVerbs>(*loops_, *managing_, *cache_, config_.upstreams, clock_,
                                        pointers(pullers_), pointers(registry_handlers_), heal);
  for (const std::unique_ptr<pull::Puller>& puller : pullers_) {
    auto query = [puller = puller.get()](Digest digest) { return state_of(*puller, digest); };
    auto call = [verbs = verbs_.get()](EventLoop& loop, std::string verb, std::string request) {
      return verbs->call(loop, std::move(verb), std::move(request));
    };
    control_handlers_.push_back(std::make_unique<admin::ControlHandler>(health_, query, call));
  }
  cache_->set_evict_listener([this](const Digest& digest) {
    for (size_t i = 0; i < loops_->size(); ++i)
      loops_->at(i).post([handler = registry_handlers_[i].get(), digest] { handler->forget(digest); });
  });
}

Status Parts::make_hook() {
  if (!config_.hooks.listen) return {};
  ENTREPOT_TRY_ASSIGN(Secret secret, load_hook_secret(config_.hooks.secret_file));
  if (config_.hooks.prefetch && !config_.cache.offline)
    prefetcher_ = std::make_unique<warm::Prefetcher>(*pullers_.front(), metrics_);
  push_hook_ = std::make_unique<PushHook>(*loops_, *compute_, config_.upstreams, pointers(pullers_),
                                          pointers(registry_handlers_), prefetcher_.get());
  for (size_t i = 0; i < loops_->size(); ++i) {
    auto take = [hook = push_hook_.get(), &loop = loops_->at(i)](std::string body) {
      return hook->take(loop, std::move(body));
    };
    hook_handlers_.push_back(std::make_unique<admin::HookHandler>(metrics_, secret, std::move(take)));
  }
  return {};
}

Status Parts::add_listeners() {
  server_ = std::make_unique<http::Server>(*loops_, *warming_, metrics_, http::Server::Options{});
  admin_server_ = std::make_unique<http::Server>(*loops_, *warming_, metrics_, http::Server::Options{});
  ENTREPOT_TRY(add_data_listeners());
  ENTREPOT_TRY(add_admin_listener());
  ENTREPOT_TRY(add_hooks_listener());
  return add_control_listener();
}

// Sockets that systemd passes take the place of the configured addresses.
Status Parts::add_data_listeners() {
  http::Server::ListenerOptions options;
  options.handlers = as_handlers(registry_handlers_);
  options.has_access_log = config_.log.access;
  const config::Config::Tls& tls = config_.server.tls;
  if (tls.is_on()) {
    auto keys = http::TlsKeys::load(tls.certificate, tls.key);
    if (!keys) return fail(keys.error().code, "server.tls: " + keys.error().message);
    options.tls = std::move(*keys);
    if (options.tls->not_after() < clock_.wall())
      logger_.warn("the certificate {} has expired", tls.certificate);
    certificate_watch_ = std::make_unique<CertificateWatch>(
        loops_->at(0), *files_, metrics_, options.tls, CertificateWatch::Files{tls.certificate, tls.key});
  }
  std::vector<InheritedSocket> inherited = inherited_sockets();
  for (InheritedSocket& socket : inherited) {
    ENTREPOT_TRY_ASSIGN(const http::Listener* listener,
                        server_->add_inherited(std::move(socket.fd), options));
    log_listener(*listener, "data");
  }
  if (!inherited.empty()) return {};
  for (const config::ListenAddress& listen : config_.server.listen) {
    ENTREPOT_TRY_ASSIGN(http::Address address, http::parse_address(listen.text()));
    ENTREPOT_TRY_ASSIGN(const http::Listener* listener, server_->add_listener(address, options));
    log_listener(*listener, "data");
  }
  return {};
}

Status Parts::add_admin_listener() {
  if (!config_.admin.listen) return {};
  http::Server::ListenerOptions options;
  options.handlers = as_handlers(admin_handlers_);
  options.has_access_log = false;
  options.max_connections = kMaxAdminConnections;
  ENTREPOT_TRY_ASSIGN(http::Address address, http::parse_address(config_.admin.listen->text()));
  ENTREPOT_TRY_ASSIGN(const http::Listener* listener, admin_server_->add_listener(address, options));
  log_listener(*listener, "admin");
  return {};
}

Status Parts::add_hooks_listener() {
  if (!config_.hooks.listen) return {};
  http::Server::ListenerOptions options;
  options.handlers = as_handlers(hook_handlers_);
  options.has_access_log = false;  // the path is the secret
  options.max_connections = kMaxAdminConnections;
  options.max_body = admin::HookHandler::kMaxBody;
  ENTREPOT_TRY_ASSIGN(http::Address address, http::parse_address(config_.hooks.listen->text()));
  ENTREPOT_TRY_ASSIGN(const http::Listener* listener, admin_server_->add_listener(address, options));
  log_listener(*listener, "hooks");
  return {};
}

Status Parts::add_control_listener() {
  http::Server::ListenerOptions options;
  options.handlers = as_handlers(control_handlers_);
  options.has_access_log = false;
  options.max_connections = kMaxAdminConnections;
  options.unix_mode = kControlMode;
  options.max_body = admin::ControlHandler::kMaxBody;
  ENTREPOT_TRY_ASSIGN(http::Address address, http::parse_address(config_.control.listen.text()));
  ENTREPOT_TRY_ASSIGN(const http::Listener* listener, admin_server_->add_listener(address, options));
  log_listener(*listener, "control");
  return {};
}

void Parts::log_listener(const http::Listener& listener, const char* name) {
  bool is_tls = certificate_watch_ && std::string_view(name) == "data" && !listener.is_unix();
  LogField fields[] = {{"address", listener.address()}, {"listener", name}, {"tls", is_tls ? "yes" : "no"}};
  logger_.write(LogLevel::info, "listening", fields);
  if (std::string_view(name) == "data") data_addresses_.push_back(listener.address());
}

void Parts::start() {
  loops_->start();
  for (size_t i = 0; i < loops_->size(); ++i) loops_->at(i).post([this] { warm_heap(loops_->size()); });
  if (certificate_watch_) loops_->at(0).post([this] { certificate_watch_->start(); });
  server_->start();
  admin_server_->start();
  health_.set_ready();
  start_scrub();
}

void Parts::start_scrub() {
  if (config_.cache.scrub_rate == 0) return;
  auto damaged = [this](cache::DamagedBlob blob) {
    if (healer_) healer_->heal(std::move(blob));
  };
  cache_->start_scrub(std::move(damaged), metrics_);
}

void Parts::drain(Duration timeout, std::move_only_function<void()> done) {
  health_.set_draining();
  server_->drain(timeout, std::move(done));
}

void Parts::stop() {
  if (certificate_watch_) loops_->at(0).post([this] { certificate_watch_->stop(); });
  verbs_->end();
  if (prefetcher_) prefetcher_->stop();
  if (healer_) healer_->stop();
  server_->shut_down();
  admin_server_->shut_down();
  for (size_t i = 0; i < loops_->size(); ++i)
    loops_->at(i).post([client = clients_[i].get()] { client->shut_down(); });
  loops_->stop();
}

std::string Parts::summary() const {
  std::string text = "serving on";
  for (const std::string& address : data_addresses_) text += " " + address;
  return text + ", cache in " + config_.cache.directory;
}

}  // namespace entrepot::daemon
