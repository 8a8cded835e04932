#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

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
/// A failure is remembered for a few seconds, so that whoever asks meanwhile gets the same answer.
class EcrTokens {
 public:
  struct Token {
    Secret authorization;       // the header's value
    uint64_t serial = 0;        // never 0
    MonotonicTime fresh_until;  // refused before, another would be refused too
    MonotonicTime renew_at;
    MonotonicTime end;
  };

  /// config_invalid, naming the key, when the region is nowhere to be found. `settings` and what else is
  /// given outlive this; the environment is the process's.
  static Result<std::unique_ptr<EcrTokens>> make(const Settings& settings, std::shared_ptr<const CaStore> ca,
                                                 const Clock& clock, Logger& logger,
                                                 const std::atomic<bool>& is_stopped);

  /// A token other than that one; a new one, unless somebody has renewed it meanwhile. BLOCKING, for as long
  /// as AWS takes; any thread, one after the other. upstream_refused_credential, naming the source and what
  /// to do, and what a call may come to.
  Result<Token> renew(uint64_t known_serial);

 private:
  EcrTokens(const Settings& settings, aws::Endpoint api, std::unique_ptr<aws::HttpCaller> caller,
            const Clock& clock, Logger& logger, const std::atomic<bool>& is_stopped);
  Result<Token> fetch();

  const Settings& settings_;
  const aws::Endpoint api_;
  const Clock& clock_;
  Logger& logger_;
  std::mutex mutex_;  // held while AWS is asked: who comes meanwhile gets that answer
  std::unique_ptr<aws::HttpCaller> caller_;
  aws::CredentialChain chain_;
  std::optional<Token> token_;
  uint64_t last_serial_ = 0;
  std::optional<Error> failure_;
  MonotonicTime failed_until_;
};

/// One loop's sight of it: keeps the token, asks for another in time. Loop's thread only.
class EcrCredential final : public CredentialSource {
 public:
  /// `errands`: where AWS is waited for, not the loop's disk pool.
  EcrCredential(EcrTokens& tokens, DiskPool& errands, EventLoop& loop)
      : tokens_(tokens), errands_(errands), loop_(loop) {}
  Task<Result<Credential>> credential(uint64_t refused_serial) override;

 private:
  Task<Result<EcrTokens::Token>> renew(uint64_t known_serial);
  static Task<void> renew_soon(EcrCredential& self);
  Credential shown() const;

  EcrTokens& tokens_;
  DiskPool& errands_;
  EventLoop& loop_;
  std::optional<EcrTokens::Token> token_;
  MonotonicTime next_try_;
  SingleFlight<Result<EcrTokens::Token>> renewals_;
};

}  // namespace entrepot::upstream
