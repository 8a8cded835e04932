#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/disk/disk_pool.h"
#include "base/log.h"
#include "base/loop/event_loop.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/task/completion.h"
#include "base/task/single_flight.h"
#include "upstream/credential_fetcher.h"
#include "upstream/credentials.h"

namespace entrepot::upstream {

/// The credential of one upstream that something else gives out (AWS, a docker config.json with its helpers),
/// for all loops. Renewed when half its life is over, or when its fetcher says; when that fails, it is used
/// until it ends (as Amazon's own credential helper does). Owned by the Upstream.
///
///     none --renew--> good --renew_after--> renewed in the background --ended--> renewed while all wait
///
/// One errand at a time fetches, however many wait; what passes is tried again at once. A failure is
/// remembered, for a few seconds, and for a minute while the credential at hand is good, so that whoever asks
/// meanwhile gets the same answer.
class KeptCredential {
 public:
  struct Token {
    Secret authorization;       // the header's value
    Secret identity_token;      // or this (Credential)
    uint64_t serial = 0;        // never 0
    MonotonicTime fresh_until;  // refused before, another would be refused too
    MonotonicTime renew_at;
    MonotonicTime end;
  };
  using Done = std::move_only_function<void(Result<Token>)>;

  /// All outlives it.
  struct Surroundings {
    const Clock& clock;
    Logger& logger;
    DiskPool& errands;  // where a fetcher is waited for: no loop's disk pool. Ends before this does
    const std::atomic<bool>& is_stopped;
  };
  KeptCredential(std::unique_ptr<CredentialFetcher> fetcher, const Surroundings& surroundings)
      : surroundings_(surroundings), fetcher_(std::move(fetcher)) {}

  /// A token other than that one: a new one, unless somebody has renewed it meanwhile. `is_urgent`: the one
  /// at hand is of no use. Any thread, never waits; `done` is called on any thread, perhaps at once. Errors:
  /// the fetcher's.
  void renew(uint64_t known_serial, bool is_urgent, Done done);

 private:
  /// What is known without fetching.
  std::optional<Result<Token>> known(uint64_t known_serial, bool is_urgent) const;

  // The errand's thread.
  void run();
  Result<Token> fetch();
  bool wait_a_little(Duration duration) const;

  const Surroundings surroundings_;

  // The errand's alone.
  const std::unique_ptr<CredentialFetcher> fetcher_;
  uint64_t last_serial_ = 0;

  std::mutex mutex_;  // of what follows; never held while anything is waited for
  bool is_fetching_ = false;
  std::vector<Done> waiters_;  // at most two of each loop
  std::optional<Token> token_;
  std::optional<Error> failure_;
  MonotonicTime failed_at_;
};

/// One loop's sight of it: keeps the token, asks for another in time. Loop's thread only.
class KeptCredentialSource final : public CredentialSource {
 public:
  KeptCredentialSource(KeptCredential& kept, EventLoop& loop) : kept_(kept), loop_(loop) {}
  Task<Result<Credential>> credential(uint64_t refused_serial) override;

 private:
  Task<Result<KeptCredential::Token>> renew(uint64_t known_serial, bool is_urgent);
  static Task<Result<KeptCredential::Token>> ask(KeptCredential& kept, EventLoop& loop, uint64_t known_serial,
                                                 bool is_urgent);
  static Task<void> renew_soon(KeptCredentialSource& self);
  Credential shown() const;

  KeptCredential& kept_;
  EventLoop& loop_;
  std::optional<KeptCredential::Token> token_;
  MonotonicTime next_try_;
  SingleFlight<Result<KeptCredential::Token>> renewals_;
};

}  // namespace entrepot::upstream
