#include "upstream/resolver.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "upstream/address_policy.h"

namespace entrepot::upstream {

bool needs_look_up(const std::string& host) {
  bool is_localhost = host == "localhost" || host.ends_with(".localhost");
  return !is_localhost && !host.starts_with('[') && !Address::parse(host);
}

void NameKeeper::get(const std::string& host, Waiter waiter) {
  if (auto kept = kept_.find(host); kept != kept_.end()) {
    if (kept->second.end > loop_.clock().monotonic()) return waiter(kept->second.addresses);
    kept_.erase(kept);
  }
  auto under_way = under_way_.find(host);
  bool is_new = under_way == under_way_.end();
  if (is_new ? under_way_.size() >= kMaxLookUps : under_way->second.size() >= kMaxWaiters)
    return waiter(fail(Errc::overloaded, "too many wait for the addresses of hosts"));
  under_way_[host].push_back(std::move(waiter));
  if (is_new) start(host);
}

void NameKeeper::start(const std::string& host) {
  auto done = [this, &loop = loop_, host](Result<Addresses> addresses) {
    loop.post(
        [this, host, addresses = std::move(addresses)]() mutable { finish(host, std::move(addresses)); });
  };
  pool_.submit(host, std::move(done));
}

void NameKeeper::finish(const std::string& host, Result<Addresses> addresses) {
  std::vector<Waiter> waiters = std::move(under_way_.extract(host).mapped());
  for (Waiter& waiter : waiters) waiter(addresses);
  keep(host, std::move(addresses));
}

void NameKeeper::keep(const std::string& host, Result<Addresses> addresses) {
  MonotonicTime now = loop_.clock().monotonic();
  if (kept_.size() >= kMaxNames) {
    std::erase_if(kept_, [&](const auto& entry) { return entry.second.end <= now; });
    if (kept_.size() >= kMaxNames)
      kept_.erase(std::ranges::min_element(kept_, {}, [](const auto& entry) { return entry.second.end; }));
  }
  MonotonicTime end = now + (addresses ? kLifetime : kFailureLifetime);
  kept_.insert_or_assign(host, Kept{std::move(addresses), end});
}

Resolver::Ticket Resolver::resolve(const std::string& host, Done done) {
  CHECK(!homes_.empty());
  auto ticket = std::make_shared<Done>(std::move(done));
  auto answer = [asker = &loop_, waiting = std::weak_ptr<Done>(ticket)](const Result<Addresses>& addresses) {
    asker->post([waiting, addresses] {
      if (Ticket still_waits = waiting.lock()) (*still_waits)(addresses);
    });
  };
  const Home& home = homes_[std::hash<std::string>{}(host) % homes_.size()];
  if (home.loop == &loop_) {
    home.keeper->get(host, std::move(answer));
  } else {
    home.loop->post([keeper = home.keeper, host, answer = std::move(answer)]() mutable {
      keeper->get(host, std::move(answer));
    });
  }
  return ticket;
}

}  // namespace entrepot::upstream
