#include "upstream/requester.h"

#include <utility>

#include "upstream/host_guard.h"

namespace entrepot::upstream {
namespace {

constexpr int kMaxHops = 5;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

TransferClass class_of(const Ask& ask) {
  if (ask.kind != RequestKind::blob || ask.method != Method::get) return TransferClass::brief;
  return ask.is_bypass ? TransferClass::bypass : TransferClass::bulk;
}

TransportRequest request_for(const Ask& ask, const Url& url, const Secret& authorization,
                             bool on_fresh_connection) {
  TransportRequest request{ask.method, url, ask.accept, authorization, on_fresh_connection};
  request.transfer_class = class_of(ask);
  request.span = ask.span;
  return request;
}

// Of a redirect's target the host alone: its path may be a ticket, as Artifact Registry's is.
std::string loggable_target(const Url& url) { return "redirected to " + url.authority(); }

}  // namespace

std::string Ask::what() const {
  return repository + (reference.find(':') == std::string::npos ? ":" : "@") + reference;
}

Task<Result<Answer>> Requester::ask(const Ask& ask, Secret authorization) {
  Result<Url> url = Url::parse(origin_.settings.url + ask.path);
  if (!url) co_return entrepot::fail(named(ask, url.error()));
  bool is_elsewhere = false;
  for (int hop = 0;; ++hop) {
    Url here = *url;
    Secret shown = is_elsewhere ? Secret() : authorization;
    bool is_redirected = hop > 0;
    Result<Answer> answer = co_await send(ask, std::move(here), std::move(shown), is_redirected);
    if (!answer) co_return entrepot::fail(std::move(answer).error());
    answer->is_elsewhere = is_elsewhere;
    if (!is_redirect(answer->head.status)) co_return answer;
    Result<Url> next = next_hop(*url, answer->head);
    if (next && hop == kMaxHops) next = entrepot::fail(Errc::policy_refused, "more than five redirects");
    if (!next) {
      origin_.metrics.redirects_refused.add();
      co_return entrepot::fail(named(ask, next.error()));
    }
    if (!next->has_same_origin(origin_.base)) is_elsewhere = true;
    url = std::move(next);
  }
}

Task<Result<Answer>> Requester::send(const Ask& ask, Url url, Secret authorization, bool is_redirected) {
  Breaker* breaker = url.has_same_origin(origin_.base) ? origin_.breaker.get() : nullptr;
  HostGuard guard(origin_, breaker, loop_, url);
  for (bool is_again = false;; is_again = true) {
    Status may_go = guard.ask();
    if (!may_go) co_return entrepot::fail(named(ask, may_go.error()));
    origin_.logger.debug("upstream {}: {} {}", origin_.name, ask.method == Method::get ? "GET" : "HEAD",
                         is_redirected ? loggable_target(url) : std::string(url.text_without_query()));
    std::unique_ptr<Transfer> transfer = transport_.start(request_for(ask, url, authorization, is_again));
    Result<ResponseHead> head = co_await transfer->head();
    guard.note(head);
    origin_.metrics.count_request(ask.kind, head ? head->status : 0);
    if (head) {
      Answer answer{std::move(transfer), std::move(*head), false};
      co_return answer;
    }
    if (is_again || !transfer->may_be_sent_again()) co_return entrepot::fail(named(ask, head.error()));
  }
}

Result<Url> Requester::next_hop(const Url& from, const ResponseHead& head) {
  std::optional<std::string_view> location = head.only("location");
  if (!location) return entrepot::fail(Errc::policy_refused, "a redirect without a Location");
  Result<Url> next = from.resolve(*location);
  if (!next) return entrepot::fail(Errc::policy_refused, "the redirect's target: " + next.error().message);
  if (from.is_https() && !next->is_https())
    return entrepot::fail(Errc::policy_refused, "a redirect from https to http");
  return next;
}

Error Requester::named(const Ask& ask, const Error& error) const {
  return Error{error.code, origin_.name + ": " + ask.what() + ": " + error.message,
               error.retry_after_seconds};
}

}  // namespace entrepot::upstream
