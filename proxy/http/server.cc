#include "proxy/http/server.h"

#include <algorithm>

#include "base/check.h"
#include "proxy/http/connection_set.h"
#include "proxy/http/service.h"

namespace entrepot::http {

struct Server::Door {
  std::unique_ptr<Listener> listener;
  std::shared_ptr<Service> service;
};

Server::Server(LoopGroup& loops, DiskPool& disk, Metrics& metrics, Options options)
    : loops_(loops), metrics_(metrics), limits_(options.limits) {
  for (size_t i = 0; i < loops.size(); ++i)
    sets_.push_back(std::make_unique<ConnectionSet>(loops.at(i), disk, limits_, metrics_, cold_watch_));
}

Server::~Server() = default;

Result<const Listener*> Server::add_listener(const Address& address, ListenerOptions options) {
  ENTREPOT_TRY_ASSIGN(auto listener, Listener::open(address, options.unix_mode));
  return add(std::move(listener), std::move(options));
}

Result<const Listener*> Server::add_inherited(UniqueFd socket, ListenerOptions options) {
  ENTREPOT_TRY_ASSIGN(auto listener, Listener::adopt(std::move(socket)));
  return add(std::move(listener), std::move(options));
}

Result<const Listener*> Server::add(std::unique_ptr<Listener> listener, ListenerOptions options) {
  CHECK(options.handlers.size() == loops_.size());
  auto service = std::make_shared<Service>();
  service->handlers = std::move(options.handlers);
  service->has_access_log = options.has_access_log;
  if (!listener->is_unix()) service->tls = std::move(options.tls);
  service->max_connections = options.max_connections;
  service->max_body = options.max_body;
  service->on_room = [&loop = loops_.at(0), door = listener.get()] { loop.post([door] { door->resume(); }); };
  doors_.push_back(std::make_unique<Door>(Door{std::move(listener), std::move(service)}));
  return doors_.back()->listener.get();
}

// One loop accepts for all: a socket polled by every loop gives nearly all clients to one of them.
void Server::start() {
  EventLoop& loop = loops_.at(0);
  for (auto& door : doors_) {
    loop.post([this, &loop, door = door.get()] {
      door->listener->start(
          loop, metrics_, [door] { return !door->service->is_full(); },
          [this, door](UniqueFd socket, std::string peer) {
            hand_over(std::move(socket), std::move(peer), door->service);
          });
    });
  }
}

void Server::hand_over(UniqueFd socket, std::string peer, const std::shared_ptr<Service>& service) {
  auto is_emptier = [](const auto& a, const auto& b) { return a->size() < b->size(); };
  auto emptiest = std::min_element(sets_.begin(), sets_.end(), is_emptier);
  ConnectionSet& set = **emptiest;
  ++service->connections;
  set.reserve();
  if (set.loop().is_current_thread()) return set.add(std::move(socket), std::move(peer), service);
  set.loop().post([&set, socket = std::move(socket), peer = std::move(peer), service]() mutable {
    set.add(std::move(socket), std::move(peer), std::move(service));
  });
}

void Server::stop_accepting() {
  for (auto& door : doors_) door->listener->stop_accepting();
}

void Server::drain(Duration timeout, std::move_only_function<void()> done) {
  is_draining_ = true;
  loops_.at(0).post([this, timeout, done = std::move(done)]() mutable {
    stop_accepting();
    on_drained_ = std::move(done);
    loops_draining_ = sets_.size();
    // Posted from here, so that they come after the clients that this loop handed over.
    for (auto& set : sets_) {
      set->loop().post([this, timeout, set = set.get()] {
        set->drain(timeout, [this] { loops_.at(0).post([this] { loop_drained(); }); });
      });
    }
  });
}

void Server::loop_drained() {
  if (--loops_draining_ == 0 && on_drained_) std::exchange(on_drained_, nullptr)();
}

void Server::shut_down() {
  loops_.at(0).post([this] { stop_accepting(); });
  for (auto& set : sets_) set->loop().post([set = set.get()] { set->cut(); });
}

size_t Server::connections() const {
  size_t total = 0;
  for (const auto& set : sets_) total += set->size();
  return total;
}

}  // namespace entrepot::http
