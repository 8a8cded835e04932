#include "upstream/client.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/check.h"
#include "upstream/credentials.h"
#include "upstream/curl_transport.h"
#include "upstream/look_up_pool.h"
#include "upstream/registry_client.h"
#include "upstream/resolver.h"
#include "upstream/tokens.h"
#include "upstream/upstream.h"

namespace entrepot::upstream {

struct Shared::State {
  std::vector<Settings> settings;
  std::vector<std::unique_ptr<Upstream>> upstreams;
  DiskPool& pool;
  LookUpPool look_ups{look_up_by_system};
};

Shared::Shared(std::unique_ptr<State> state) : state_(std::move(state)) {}
Shared::~Shared() = default;
std::span<const Settings> Shared::settings() const { return state_->settings; }

Result<std::unique_ptr<Shared>> Shared::make(std::vector<Settings> settings, DiskPool& pool, Logger& logger,
                                             Metrics& metrics) {
  if (!init_curl()) return fail(Errc::config_invalid, "libcurl does not start, or is older than 7.83.0");
  Result<std::shared_ptr<const CaStore>> system_ca = CaStore::load(system_ca_file());
  if (!system_ca) {
    logger.warn("no system CA certificates: {}; https upstreams without ca_file will fail",
                system_ca.error().message);
    system_ca = CaStore::empty();
  }
  std::unique_ptr<State> state(new State{std::move(settings), {}, pool});
  for (const Settings& one : state->settings) {
    ENTREPOT_TRY_ASSIGN(std::unique_ptr<Upstream> upstream, Upstream::make(one, *system_ca, logger, metrics));
    state->upstreams.push_back(std::move(upstream));
  }
  return std::unique_ptr<Shared>(new Shared(std::move(state)));
}

namespace {

// One upstream on one loop, from the wire up.
struct Station {
  Station(const Upstream& upstream, EventLoop& loop, DiskPool& pool, Resolver& resolver)
      : transport(make_curl_transport(loop, options_of(upstream, resolver))),
        credentials(upstream.settings, pool, loop),
        keeper(upstream, loop, *transport, credentials),
        tokens(loop),
        client(upstream, loop, *transport, tokens, credentials) {}

  static CurlOptions options_of(const Upstream& upstream, Resolver& resolver) {
    const Settings& settings = upstream.settings;
    return CurlOptions{.upstream = settings.name,
                       .policy = upstream.connect_policy,
                       .ca = *upstream.ca,
                       .budget = *upstream.budget,
                       .resolver = resolver,
                       .allows_http = !upstream.base.is_https(),
                       .proxy = settings.proxy,
                       .connect_timeout = settings.connect_timeout,
                       .header_timeout = settings.header_timeout,
                       .refused_connections = upstream.metrics.connections_refused,
                       .overloads = upstream.metrics.overloads};
  }

  std::unique_ptr<Transport> transport;
  Credentials credentials;
  TokenKeeper keeper;
  Tokens tokens;
  RegistryClient client;
};

class LoopClient final : public Client {
 public:
  LoopClient(Shared& shared, LoopGroup& loops, EventLoop& loop)
      : loops_(loops), names_(loop, shared.state().look_ups), resolver_(loop) {
    Shared::State& state = shared.state();
    for (const auto& upstream : state.upstreams) {
      auto station = std::make_unique<Station>(*upstream, loop, state.pool, resolver_);
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
    for (size_t i = 0; i < stations_.size(); ++i) {
      std::vector<Tokens::Home> homes;
      for (size_t loop = 0; loop < siblings.size(); ++loop) {
        auto* sibling = static_cast<LoopClient*>(siblings[loop]);
        homes.push_back({&loops_.at(loop), &sibling->stations_[i]->keeper});
      }
      stations_[i]->tokens.connect(std::move(homes));
    }
  }

  Registry* find(std::string_view name) override {
    auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &found->second->client;
  }

  void shut_down() override {
    for (const auto& station : stations_) station->transport->shut_down();
  }

 private:
  LoopGroup& loops_;
  NameKeeper names_;
  Resolver resolver_;
  std::vector<std::unique_ptr<Station>> stations_;
  std::map<std::string, Station*, std::less<>> by_name_;
};

}  // namespace

std::unique_ptr<Client> Client::make(Shared& shared, LoopGroup& loops, EventLoop& loop) {
  return std::make_unique<LoopClient>(shared, loops, loop);
}

}  // namespace entrepot::upstream
