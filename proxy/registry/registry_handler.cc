#include "proxy/registry/registry_handler.h"

#include "proxy/registry/answers.h"
#include "proxy/registry/query.h"

namespace entrepot::registry {
namespace {

constexpr std::chrono::seconds kTouchInterval{1};

std::string_view host_of(const http::Request& request) {
  const std::string* host = request.header("host");
  return host == nullptr ? std::string_view() : *host;
}

}  // namespace

RegistryHandler::RegistryHandler(const pull::Addressing& addressing, pull::Puller& puller,
                                 BlobRequests::Options options)
    : addressing_(addressing),
      puller_(puller),
      hot_(puller.context().loops.size()),
      manifests_(puller, hot_),
      blobs_(puller, hot_, options),
      listings_(puller),
      ping_(ping_answer()) {}

void RegistryHandler::handle(std::shared_ptr<http::Exchange> exchange) {
  const http::Request& request = exchange->request();
  if (request.method != http::Method::get && request.method != http::Method::head) {
    send_write_refused(*exchange);
    return;
  }
  if (request.has_body) {
    send_error(*exchange, Error{Errc::bad_request, "a GET or HEAD has no body here"});
    return;
  }
  if (answer_hot(exchange)) return;
  Result<Route> route = read_route(request.path);
  Status status = route ? dispatch(exchange, *route) : Status(fail(route.error()));
  if (!status) send_error(*exchange, status.error());
}

// Tells the cache that this answer was used, at most once a second.
void RegistryHandler::touch(HotAnswer& answer, MonotonicTime now) {
  if (now - answer.touched_at < kTouchInterval) return;
  answer.touched_at = now;
  puller_.context().cache.touch(answer.digest);
}

bool RegistryHandler::answer_hot(const std::shared_ptr<http::Exchange>& shared) {
  http::Exchange& exchange = *shared;
  const http::Request& request = exchange.request();
  MonotonicTime now = exchange.loop().clock().monotonic();
  HotAnswer* hot = addressing_.selects_by_host()
                       ? hot_.find(addressing_.selected_by(host_of(request)) + request.target, now)
                       : hot_.find(request.target, now);
  if (hot == nullptr) return false;
  // A range of a small blob is rare: it takes the way of the file.
  if (hot->canned && request.header("range") != nullptr) return false;
  touch(*hot, now);
  exchange.note() = hot->note;
  if (is_known_to_client(request, hot->digest))
    send_not_modified(exchange, hot->digest, cache_status(pull::Outcome::hit), hot->ns);
  else if (hot->canned)
    exchange.send_canned(hot->canned);
  else if (!hot->media_type.empty())
    exchange.send_file(manifest_head(hot->digest, hot->media_type, cache_status(pull::Outcome::hit), hot->ns),
                       hot->file, 0, hot->size);
  else
    BlobRequests::send_cached(shared, {hot->digest, hot->file, hot->size, hot->ns});
  return true;
}

Status RegistryHandler::dispatch(const std::shared_ptr<http::Exchange>& exchange, const Route& route) {
  const http::Request& request = exchange->request();
  ENTREPOT_TRY_ASSIGN(std::optional<std::string> ns, read_ns(request.query));
  pull::Addressing::Asked asked{.name = route.name,
                                .ns = std::move(ns),
                                .host = host_of(request),
                                .names_upstream = route.names_upstream};
  Result<pull::Addressing::Target> addressed = addressing_.resolve(asked);
  bool is_plain_ping = route.kind == Route::Kind::ping && !route.names_upstream && !asked.ns;
  if (is_plain_ping || (route.kind == Route::Kind::ping && addressed)) {
    exchange->send_canned(ping_);
    return {};
  }
  ENTREPOT_TRY_ASSIGN(pull::Addressing::Target target, std::move(addressed));
  target.selected_by_host = addressing_.selected_by(asked.host);
  http::AccessNote& note = exchange->note();
  note.upstream = target.repository.upstream;
  note.repository = target.repository.name;
  note.reference = route.reference;

  if (route.kind == Route::Kind::manifest) {
    std::optional<Reference> reference = parse_reference(route.reference);
    bool is_digest = route.reference.find(':') != std::string::npos;
    if (!reference)
      return fail(is_digest ? Errc::digest_invalid : Errc::tag_invalid,
                  "invalid reference: " + route.reference.substr(0, 256));
    exchange->loop().spawn(manifests_.answer(exchange, std::move(target), std::move(*reference)));
    return {};
  }
  if (route.kind == Route::Kind::blob) {
    std::optional<Digest> digest = Digest::parse(route.reference);
    if (!digest) return fail(Errc::digest_invalid, "invalid digest: " + route.reference.substr(0, 256));
    exchange->loop().spawn(blobs_.answer(exchange, std::move(target), *digest));
    return {};
  }
  return dispatch_listing(exchange, std::move(target), route);
}

Status RegistryHandler::dispatch_listing(const std::shared_ptr<http::Exchange>& exchange,
                                         pull::Addressing::Target target, const Route& route) {
  ENTREPOT_TRY_ASSIGN(PageQuery query, read_page_query(exchange->request().query));
  if (route.kind == Route::Kind::tags) {
    exchange->loop().spawn(listings_.answer_tags(exchange, std::move(target), route.name, std::move(query)));
    return {};
  }
  if (route.kind != Route::Kind::referrers)
    return fail(Errc::not_found, "this endpoint is not served by this cache");
  std::optional<Digest> subject = Digest::parse(route.reference);
  if (!subject) return fail(Errc::digest_invalid, "invalid digest: " + route.reference.substr(0, 256));
  exchange->loop().spawn(listings_.answer_referrers(exchange, std::move(target), *subject, std::move(query)));
  return {};
}

}  // namespace entrepot::registry
