#include "proxy/registry/registry_handler.h"

#include "proxy/registry/answers.h"
#include "proxy/registry/query.h"

namespace entrepot::registry {
namespace {

constexpr std::chrono::seconds kTouchInterval{1};

}  // namespace

RegistryHandler::RegistryHandler(const pull::Addressing& addressing, pull::Puller& puller)
    : addressing_(addressing),
      puller_(puller),
      manifests_(puller, hot_),
      blobs_(puller, hot_),
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
  if (answer_hot(*exchange)) return;
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

bool RegistryHandler::answer_hot(http::Exchange& exchange) {
  const http::Request& request = exchange.request();
  MonotonicTime now = exchange.loop().clock().monotonic();
  HotAnswer* hot = hot_.find(request.target, now);
  if (hot == nullptr) return false;
  // A range of a small blob is rare: it takes the way of the file.
  if (hot->canned && request.header("range") != nullptr) return false;
  touch(*hot, now);
  exchange.note() = hot->note;
  if (is_known_to_client(request, hot->digest))
    send_not_modified(exchange, hot->digest);
  else if (hot->canned)
    exchange.send_canned(hot->canned);
  else
    BlobRequests::send_cached(exchange, hot->digest, hot->file, hot->size, hot->ns);
  return true;
}

Status RegistryHandler::dispatch(const std::shared_ptr<http::Exchange>& exchange, const Route& route) {
  ENTREPOT_TRY_ASSIGN(std::optional<std::string> ns, read_ns(exchange->request().query));
  Result<pull::Addressing::Target> addressed = addressing_.resolve(route.name, ns, route.names_upstream);
  if (route.kind == Route::Kind::ping && (addressed || !route.names_upstream)) {
    exchange->send_canned(ping_);
    return {};
  }
  ENTREPOT_TRY_ASSIGN(pull::Addressing::Target target, std::move(addressed));
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
  return fail(Errc::not_found, "this endpoint is not served by this cache");
}

}  // namespace entrepot::registry
