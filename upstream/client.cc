#include "upstream/client.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "upstream/credentials.h"
#include "upstream/curl_transport.h"
#include "upstream/kept_credential.h"
#include "upstream/look_up_pool.h"
#include "upstream/mirrored_registry.h"
#include "upstream/public_client.h"
#include "upstream/registry_client.h"
#include "upstream/resolver.h"
#include "upstream/tokens.h"
#include "upstream/upstream.h"

namespace entrepot::upstream {

namespace {

// AWS is asked once in some hours, a helper of docker's each minute, by one errand of each upstream. Few
// upstreams wait for each other.
constexpr size_t kMostErrandThreads = 4;

}  // namespace

struct Shared::State {
  State(std::vector<Settings> all, DiskPool& disk) : settings(std::move(all)), pool(disk) {}

  std::vector<Settings> settings;
  std::vector<std::unique_ptr<Upstream>> upstreams;
  DiskPool& pool;
  std::atomic<bool> is_stopped{false};
  LookUpPool look_ups{look_up_by_system};
  std::unique_ptr<ThreadedDiskPool> errands;  // where credentials are waited for, when any upstream needs it
};

Shared::Shared(std::unique_ptr<State> state) : state_(std::move(state)) {}
Shared::~Shared() { state_->is_stopped = true; }
std::span<const Settings> Shared::settings() const { return state_->settings; }

Result<std::unique_ptr<Shared>> Shared::make(std::vector<Settings> settings, DiskPool& pool,
                                             const Clock& clock, Logger& logger, Metrics& metrics) {
  if (!init_curl()) return fail(Errc::config_invalid, "libcurl does not start, or is older than 7.83.0");
  Result<std::shared_ptr<const CaStore>> system_ca = CaStore::load(system_ca_file());
  if (!system_ca) {
    logger.warn("no system CA certificates: {}; https upstreams without ca_file will fail",
                system_ca.error().message);
    system_ca = CaStore::empty();
  }
  auto state = std::make_unique<State>(std::move(settings), pool);
  auto users = static_cast<size_t>(std::ranges::count_if(state->settings, Upstream::needs_errands));
  if (users > 0)
    state->errands = std::make_unique<ThreadedDiskPool>(std::min(users, kMostErrandThreads), logger, metrics);
  const Upstream::Common common{*system_ca, clock, logger, metrics, state->errands.get(), state->is_stopped};
  for (const Settings& one : state->settings) {
    ENTREPOT_TRY_ASSIGN(std::unique_ptr<Upstream> upstream, Upstream::make(one, common));
    state->upstreams.push_back(std::move(upstream));
  }
  return std::unique_ptr<Shared>(new Shared(std::move(state)));
}

namespace {

// Answers of more than 64 KiB (up to 4 MiB of a manifest, 8 MiB of a listing) that are in memory at once, on
// all loops together. While one is parsed it takes twice its size and more: they shall not take 64 MiB
// together.
constexpr size_t kLargeAnswers = 8;

// One origin on one loop, from the wire up.
struct OriginStation {
  OriginStation(const Origin& origin, EventLoop& loop, std::unique_ptr<CredentialSource> source,
                Resolver& resolver, Slots& large_answers)
      : transport(make_curl_transport(loop, options_of(origin, resolver))),
        credentials(std::move(source)),
        keeper(origin, loop, *transport, *credentials),
        tokens(loop),
        client(origin, loop, *transport, tokens, *credentials, large_answers) {}

  static CurlOptions options_of(const Origin& origin, Resolver& resolver) {
    const Settings& settings = origin.settings;
    return CurlOptions{.upstream = origin.name,
                       .policy = origin.connect_policy,
                       .ca = *origin.ca,
                       .base = origin.base,
                       .identity = origin.identity.get(),
                       .budget = *origin.budget,
                       .resolver = resolver,
                       .allows_http = !origin.base.is_https(),
                       .proxy = settings.proxy,
                       .connect_timeout = settings.connect_timeout,
                       .header_timeout = settings.header_timeout,
                       .refused_connections = origin.metrics.connections_refused,
                       .received_bytes = origin.metrics.received_bytes,
                       .overloads = origin.metrics.overloads};
  }

  std::unique_ptr<Transport> transport;
  std::unique_ptr<CredentialSource> credentials;
  TokenKeeper keeper;
  Tokens tokens;
  RegistryClient client;
};

// One upstream on one loop.
struct Station {
  Station(const Upstream& upstream, Shared::State& shared, EventLoop& loop, Resolver& resolver,
          Slots& large_answers) {
    std::vector<OriginClient*> clients;
    auto add = [&](const Origin& origin) {
      std::unique_ptr<CredentialSource> source;
      if (has_credential(origin.settings) && upstream.kept)
        source = std::make_unique<KeptCredentialSource>(*upstream.kept, loop);
      else
        source = std::make_unique<Credentials>(origin.settings, shared.pool, loop);
      origins.push_back(
          std::make_unique<OriginStation>(origin, loop, std::move(source), resolver, large_answers));
      return &origins.back()->client;
    };
    for (const auto& origin : upstream.origins) clients.push_back(add(*origin));
    if (upstream.anonymous) {
      OriginClient& anonymous = *add(*upstream.anonymous);
      clients.front() =
          &open.emplace(*upstream.origins.front(), loop, *clients.front(), anonymous, *upstream.proven);
    }
    registry.emplace(upstream, std::move(clients));
  }

  std::vector<std::unique_ptr<OriginStation>> origins;  // the upstream's, then the one without credential
  std::optional<PublicClient> open;                     // of `access = "public"`
  std::optional<MirroredRegistry> registry;
};

class LoopClient final : public Client {
 public:
  LoopClient(Shared& shared, LoopGroup& loops, EventLoop& loop)
      : shared_(shared.state()),
        loops_(loops),
        names_(loop, shared.state().look_ups),
        resolver_(loop),
        large_answers_(loop, std::max<size_t>(kLargeAnswers / loops.size(), 1)) {
    Shared::State& state = shared.state();
    for (const auto& upstream : state.upstreams) {
      auto station = std::make_unique<Station>(*upstream, state, loop, resolver_, large_answers_);
      by_name_[upstream->settings.name] = station.get();
      stations_.push_back(std::move(station));
    }
  }

  void connect(std::span<Client* const> siblings) override {
    CHECK(siblings.size() == loops_.size());
    std::vector<Resolver::Home> name_homes;
    for (size_t loop = 0; loop < siblings.size(); ++loop)
      name_homes.push_back({&loops_.at(loop), &static_cast<LoopClient*>(siblings[loop])->names_});
    resolver_.connect(std::move(name_homes));
    for (size_t upstream = 0; upstream < stations_.size(); ++upstream)
      for (size_t origin = 0; origin < stations_[upstream]->origins.size(); ++origin)
        connect_tokens(siblings, upstream, origin);
  }

  Registry* find(std::string_view name) override {
    auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &*found->second->registry;
  }

  void shut_down() override {
    shared_.is_stopped = true;
    for (const auto& station : stations_)
      for (const auto& origin : station->origins) origin->transport->shut_down();
  }

 private:
  // The homes of an origin's tokens are that same origin's keepers on all loops.
  void connect_tokens(std::span<Client* const> siblings, size_t upstream, size_t origin) {
    std::vector<Tokens::Home> homes;
    for (size_t loop = 0; loop < siblings.size(); ++loop) {
      auto* sibling = static_cast<LoopClient*>(siblings[loop]);
      homes.push_back({&loops_.at(loop), &sibling->stations_[upstream]->origins[origin]->keeper});
    }
    stations_[upstream]->origins[origin]->tokens.connect(std::move(homes));
  }

  Shared::State& shared_;
  LoopGroup& loops_;
  NameKeeper names_;
  Resolver resolver_;
  Slots large_answers_;
  std::vector<std::unique_ptr<Station>> stations_;
  std::map<std::string, Station*, std::less<>> by_name_;
};

}  // namespace

std::unique_ptr<Client> Client::make(Shared& shared, LoopGroup& loops, EventLoop& loop) {
  return std::make_unique<LoopClient>(shared, loops, loop);
}

}  // namespace entrepot::upstream
