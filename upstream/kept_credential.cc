#include "upstream/kept_credential.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace entrepot::upstream {
namespace {

constexpr Duration kFailureIsKept{5'000};
constexpr Duration kFailureIsKeptWhileGood{60'000};
constexpr int kTries = 3;
constexpr Duration kBetweenTries{300};

}  // namespace

std::optional<Result<KeptCredential::Token>> KeptCredential::known(uint64_t known_serial,
                                                                   bool is_urgent) const {
  MonotonicTime now = surroundings_.clock.monotonic();
  if (token_ && token_->serial != known_serial && now < token_->end) return *token_;
  Duration kept = is_urgent ? kFailureIsKept : kFailureIsKeptWhileGood;
  if (failure_ && now < failed_at_ + kept) return fail(*failure_);
  return std::nullopt;
}

void KeptCredential::renew(uint64_t known_serial, bool is_urgent, Done done) {
  std::optional<Result<Token>> answer;
  {
    std::lock_guard lock(mutex_);
    answer = known(known_serial, is_urgent);
    if (!answer) {
      waiters_.push_back(std::move(done));
      if (!std::exchange(is_fetching_, true))
        surroundings_.errands.submit(fetcher_->what(), [this] { run(); });
    }
  }
  if (answer) done(std::move(*answer));
}

void KeptCredential::run() {
  Result<Token> token = fetch();
  std::vector<Done> waiters;
  {
    std::lock_guard lock(mutex_);
    is_fetching_ = false;
    waiters = std::exchange(waiters_, {});
    failure_.reset();
    if (token)
      token_ = *token;
    else
      failure_ = token.error();
    failed_at_ = surroundings_.clock.monotonic();
  }
  if (!token) surroundings_.logger.error("{}", token.error().message);
  for (Done& waiter : waiters) waiter(token);
}

// What takes no time and may be well in a moment is asked for again; a time-out has taken long enough.
Result<KeptCredential::Token> KeptCredential::fetch() {
  for (int tries = 1;; ++tries) {
    Result<FetchedCredential> fetched = fetcher_->fetch();
    if (fetched) {
      MonotonicTime now = surroundings_.clock.monotonic();
      return Token{
          std::move(fetched->authorization), std::move(fetched->identity_token), ++last_serial_,
          now + fetched->fresh_for,          now + fetched->renew_after,         now + fetched->life};
    }
    if (tries == kTries) return fail(std::move(fetched).error());
    Errc code = fetched.error().code;
    bool may_pass = code == Errc::upstream_failed || code == Errc::upstream_rate_limited ||
                    code == Errc::upstream_unreachable;
    if (!may_pass || !wait_a_little(kBetweenTries * tries)) return fail(std::move(fetched).error());
  }
}

// False: everything ends.
bool KeptCredential::wait_a_little(Duration duration) const {
  constexpr Duration kLook{50};
  for (; duration > Duration::zero(); duration -= kLook) {
    if (surroundings_.is_stopped) return false;
    std::this_thread::sleep_for(std::min(kLook, duration));
  }
  return true;
}

Task<Result<Credential>> KeptCredentialSource::credential(uint64_t refused_serial) {
  MonotonicTime now = loop_.clock().monotonic();
  bool is_good = token_ && token_->serial != refused_serial && now < token_->end;
  if (is_good && now >= token_->renew_at && now >= next_try_) {
    next_try_ = now + kFailureIsKeptWhileGood;
    loop_.spawn(renew_soon(*this));
  }
  if (!is_good) {
    uint64_t known = token_ ? token_->serial : refused_serial;
    Result<KeptCredential::Token> renewed = co_await renew(known, true);
    if (!renewed) co_return fail(std::move(renewed).error());
  }
  co_return shown();
}

Credential KeptCredentialSource::shown() const {
  return {token_->authorization, token_->identity_token, token_->serial,
          loop_.clock().monotonic() < token_->fresh_until};
}

Task<void> KeptCredentialSource::renew_soon(KeptCredentialSource& self) {
  uint64_t known = self.token_->serial;
  co_await self.renew(known, false);
}

Task<Result<KeptCredential::Token>> KeptCredentialSource::renew(uint64_t known_serial, bool is_urgent) {
  auto start = [this, known_serial, is_urgent] { return ask(kept_, loop_, known_serial, is_urgent); };
  std::string key = is_urgent ? "urgent" : "soon";
  Result<KeptCredential::Token> token = co_await renewals_.ask(std::move(key), std::move(start));
  if (token) token_ = *token;
  co_return token;
}

// A leaf: back on the loop when the answer is there.
Task<Result<KeptCredential::Token>> KeptCredentialSource::ask(KeptCredential& kept, EventLoop& loop,
                                                              uint64_t known_serial, bool is_urgent) {
  Completion<Result<KeptCredential::Token>> done;
  kept.renew(known_serial, is_urgent, [&done, &loop](Result<KeptCredential::Token> token) {
    loop.post([&done, token = std::move(token)]() mutable { done.complete(std::move(token)); });
  });
  co_return co_await done;
}

}  // namespace entrepot::upstream
