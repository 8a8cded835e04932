#include "upstream/look_up_pool.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/mailbox.h"

namespace entrepot::upstream {
namespace {

constexpr size_t kMaxAddresses = 16;

std::string text_of(const sockaddr& address) {
  char text[INET6_ADDRSTRLEN] = "";
  const void* binary = nullptr;
  if (address.sa_family == AF_INET) binary = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  if (address.sa_family == AF_INET6) binary = &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (binary == nullptr || inet_ntop(address.sa_family, binary, text, sizeof text) == nullptr) return {};
  return text;
}

}  // namespace

Result<Addresses> look_up_by_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) found = nullptr;
  Addresses addresses;
  for (const addrinfo* one = found; one != nullptr && addresses.size() < kMaxAddresses; one = one->ai_next) {
    std::string text = text_of(*one->ai_addr);
    if (!text.empty() && std::ranges::find(addresses, text) == addresses.end())
      addresses.push_back(std::move(text));
  }
  if (found != nullptr) ::freeaddrinfo(found);
  if (addresses.empty()) return fail(Errc::upstream_unreachable, "could not resolve " + host);
  return addresses;
}

// As in the disk pool: loops push onto a lock-free box; the mutexes are the workers' own, but for the end.
struct LookUpPool::State {
  struct Job {
    std::string host;
    Done done;
  };

  explicit State(LookUp function) : look_up(std::move(function)) {}

  std::optional<Job> next() {
    std::lock_guard lock(workers);
    inbox.drain([this](Job&& job) { queue.push_back(std::move(job)); });
    if (queue.empty()) return std::nullopt;
    Job job = std::move(queue.front());
    queue.pop_front();
    return job;
  }

  void work() {
    while (!is_stopped) {
      uint32_t seen = posted.load();
      if (std::optional<Job> job = next()) {
        Result<Addresses> addresses = look_up(job->host);
        std::lock_guard lock(answering);
        if (!is_stopped) job->done(std::move(addresses));
      } else if (!is_stopped) {
        posted.wait(seen);
      }
    }
  }

  const LookUp look_up;
  Mailbox<Job> inbox;
  std::atomic<uint32_t> posted{0};
  std::mutex workers;
  std::deque<Job> queue;
  std::mutex answering;  // held while an answer is given: after the destructor had it, there is none
  std::atomic<bool> is_stopped{false};
};

LookUpPool::LookUpPool(LookUp look_up, size_t threads) : state_(std::make_shared<State>(std::move(look_up))) {
  for (size_t i = 0; i < threads; ++i) {
    std::thread thread([state = state_] { state->work(); });
    pthread_setname_np(thread.native_handle(), ("names-" + std::to_string(i)).c_str());
    thread.detach();
  }
}

LookUpPool::~LookUpPool() {
  {
    std::lock_guard lock(state_->answering);
    state_->is_stopped = true;
  }
  state_->posted.fetch_add(1);
  state_->posted.notify_all();
}

void LookUpPool::submit(std::string host, Done done) {
  state_->inbox.post(State::Job{std::move(host), std::move(done)});
  state_->posted.fetch_add(1);
  state_->posted.notify_one();
}

}  // namespace entrepot::upstream
