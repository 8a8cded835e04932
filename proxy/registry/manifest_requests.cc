#include "proxy/registry/manifest_requests.h"

#include "proxy/http/address.h"
#include "proxy/registry/answers.h"
#include "proxy/registry/hot_target.h"

namespace entrepot::registry {
namespace {

// Shared by all who are being sent it, and never copied on a loop.
std::shared_ptr<const std::string> bytes_of(const std::shared_ptr<const pull::Manifest>& manifest) {
  return {manifest, &manifest->bytes};
}

}  // namespace

Task<void> ManifestRequests::answer(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target,
                                    Reference reference) {
  MonotonicTime begun = exchange->loop().clock().monotonic();
  uint64_t epoch = hot_.epoch();
  Result<pull::ResolvedTag> resolved = co_await resolve(*exchange, target, reference);
  if (!resolved) {
    send_error(*exchange, resolved.error());
    co_return;
  }
  Result<pull::PulledManifest> pulled = co_await puller_.manifests().get(target.repository, resolved->digest);
  if (!pulled) {
    send_error(*exchange, pulled.error());
    co_return;
  }
  bool was_hit = resolved->outcome == pull::Outcome::hit && pulled->outcome == pull::Outcome::hit;
  if (!was_hit) note_upstream(*exchange, begun);
  bool may_be_kept = std::holds_alternative<Digest>(reference) || epoch == hot_.epoch();
  send(*exchange, target, reference, *resolved, *pulled, may_be_kept);
}

Task<Result<pull::ResolvedTag>> ManifestRequests::resolve(const http::Exchange& exchange,
                                                          const pull::Addressing::Target& target,
                                                          const Reference& reference) {
  if (const Digest* digest = std::get_if<Digest>(&reference)) co_return pull::ResolvedTag{.digest = *digest};
  pull::TagRequest request{target.repository, std::get<std::string>(reference),
                           http::client_of(exchange.request().peer)};
  co_return co_await puller_.tags().resolve(std::move(request));
}

void ManifestRequests::send(http::Exchange& exchange, const pull::Addressing::Target& target,
                            const Reference& reference, const pull::ResolvedTag& resolved,
                            const pull::PulledManifest& pulled, bool may_be_kept) {
  const pull::Manifest& manifest = *pulled.manifest;
  // An answer is a hit when neither the tag nor the bytes had to be fetched for it.
  pull::Outcome outcome = pulled.outcome == pull::Outcome::hit ? resolved.outcome : pulled.outcome;
  MonotonicTime now = exchange.loop().clock().monotonic();
  std::string status =
      cache_status(outcome, std::chrono::duration_cast<Duration>(resolved.fresh_until - now));
  if (pulled.outcome == pull::Outcome::hit) puller_.context().cache.touch(manifest.digest);
  // What could not be stored is asked for again, so that it can be stored then.
  if (may_be_kept && pulled.is_indexed && !pull::is_stale(resolved.outcome))
    keep_hot(exchange, target, reference, resolved, pulled.manifest);
  if (is_known_to_client(exchange.request(), manifest.digest)) {
    send_not_modified(exchange, manifest.digest, status, target.ns);
    return;
  }
  exchange.note().cache_status = status;
  http::Head head = manifest_head(manifest.digest, manifest.media_type, status, target.ns);
  if (manifest.file)
    exchange.send_file(std::move(head), manifest.file, 0, manifest.size);
  else
    exchange.send_canned(http::make_canned(head, bytes_of(pulled.manifest)));
}

void ManifestRequests::keep_hot(http::Exchange& exchange, const pull::Addressing::Target& target,
                                const Reference& reference, const pull::ResolvedTag& resolved,
                                const std::shared_ptr<const pull::Manifest>& pulled) {
  std::optional<std::string> key = hot_key(exchange.request(), target.selected_by_host);
  if (!key) return;
  const pull::Manifest& manifest = *pulled;
  std::string status = cache_status(pull::Outcome::hit);
  HotAnswer hot(manifest.digest);
  hot.ns = target.ns;
  hot.note = exchange.note();
  hot.note.cache_status = status;
  hot.note.upstream_milliseconds = -1;
  hot.media_type = manifest.media_type;
  hot.file = manifest.file;
  hot.size = manifest.size;
  if (!manifest.file)
    hot.canned = http::make_canned(manifest_head(manifest.digest, manifest.media_type, status, target.ns),
                                   bytes_of(pulled));
  if (std::holds_alternative<std::string>(reference)) hot.expires = resolved.fresh_until;
  hot_.put(std::move(*key), std::move(hot), exchange.loop().clock().monotonic());
}

}  // namespace entrepot::registry
