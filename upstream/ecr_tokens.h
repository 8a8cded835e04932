#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/disk/disk_pool.h"
#include "base/log.h"
#include "base/loop/event_loop.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/task/completion.h"
#include "base/task/single_flight.h"
#include "upstream/aws/credential_chain.h"
#include "upstream/aws/ecr_host.h"
#include "upstream/aws/http_caller.h"
#include "upstream/credentials.h"
#include "upstream/settings.h"

namespace entrepot::upstream {

/// The authorization token of one upstream at Amazon ECR, or ECR Public, for all loops. A token is renewed at
/// half its life; when that fails, it is used until it ends (as Amazon's own credential helper does). Owned
/// by the Upstream.
///
///     none --renew--> good --half its life--> renewed in the background --ended--> renewed while all wait
///
/// AWS is asked by one errand at a time, however many wait; what passes is tried again at once. A failure is
/// remembered, for a few seconds, and for a minute while the token at hand is good, so that whoever asks
/// meanwhile gets the same answer.
class EcrTokens {
 public:
  struct Token {
    Secret authorization;       // the header's value
    uint64_t serial = 0;        // never 0
    MonotonicTime fresh_until;  // refused before, another would be refused too
    MonotonicTime renew_at;
    MonotonicTime end;
  };
  using Done = std::move_only_function<void(Result<Token>)>;

  /// What an upstream's tokens need beside its settings. All outlives them.
  struct Surroundings {
    const Clock& clock;
    Logger& logger;
    DiskPool& errands;  // where AWS is waited for: no loop's disk pool. Ends before the tokens do
    const std::atomic<bool>& is_stopped;
  };
  /// config_invalid, naming the key, when the region or the API is nowhere to be found. BLOCKING
  /// (AWS_CA_BUNDLE, which wins over `ca`). `settings` outlives this; the environment is the process's.
  static Result<std::unique_ptr<EcrTokens>> make(const Settings& settings, std::shared_ptr<const CaStore> ca,
                                                 const Surroundings& surroundings);

  /// A token other than that one: a new one, unless somebody has renewed it meanwhile. `is_urgent`: the one
  /// at hand is of no use. Any thread, never waits; `done` is called on any thread, perhaps at once. Errors:
  /// upstream_refused_credential, naming the source and what to do, and what a call may come to.
  void renew(uint64_t known_serial, bool is_urgent, Done done);

 private:
  EcrTokens(const Settings& settings, aws::Endpoint api, std::unique_ptr<aws::HttpCaller> caller,
            const Surroundings& surroundings);
  /// What is known without asking AWS.
  std::optional<Result<Token>> known(uint64_t known_serial, bool is_urgent) const;

  // The errand's thread.
  void run();
  Result<Token> fetch();
  Result<Token> try_once(bool may_ask_again);
  bool wait_a_little(Duration duration) const;

  const Settings& settings_;
  const aws::Endpoint api_;
  const Surroundings surroundings_;

  // The errand's alone.
  const std::unique_ptr<aws::HttpCaller> caller_;
  aws::CredentialChain chain_;
  uint64_t last_serial_ = 0;

  std::mutex mutex_;  // of what follows; never held while anything is waited for
  bool is_fetching_ = false;
  std::vector<Done> waiters_;  // at most two of each loop
  std::optional<Token> token_;
  std::optional<Error> failure_;
  MonotonicTime failed_at_;
};

/// One loop's sight of it: keeps the token, asks for another in time. Loop's thread only.
class EcrCredential final : public CredentialSource {
 public:
  EcrCredential(EcrTokens& tokens, EventLoop& loop) : tokens_(tokens), loop_(loop) {}
  Task<Result<Credential>> credential(uint64_t refused_serial) override;

 private:
  Task<Result<EcrTokens::Token>> renew(uint64_t known_serial, bool is_urgent);
  static Task<Result<EcrTokens::Token>> ask(EcrTokens& tokens, EventLoop& loop, uint64_t known_serial,
                                            bool is_urgent);
  static Task<void> renew_soon(EcrCredential& self);
  Credential shown() const;

  EcrTokens& tokens_;
  EventLoop& loop_;
  std::optional<EcrTokens::Token> token_;
  MonotonicTime next_try_;
  SingleFlight<Result<EcrTokens::Token>> renewals_;
};

}  // namespace entrepot::upstream
