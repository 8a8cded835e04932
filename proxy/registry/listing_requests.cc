#include "proxy/registry/listing_requests.h"

#include <fmt/format.h>

#include <utility>

#include "base/disk/run_on_disk.h"
#include "proxy/http/address.h"
#include "proxy/registry/answers.h"

namespace entrepot::registry {
namespace {

constexpr size_t kSmallListing = 64 * 1024;
constexpr char kIndexType[] = "application/vnd.oci.image.index.v1+json";

// The Link to the next page: the client's own path, the upstream's parameters, and what chose the upstream.
void add_link(http::Head& head, const http::Request& request, const std::string& next_query,
              const std::string& kept) {
  if (next_query.empty()) return;
  head.add("Link", "<" + std::string(request.path) + "?" + next_query + kept + ">; rel=\"next\"");
}

std::string kept_parameter(std::string_view name, const std::string& value) {
  return value.empty() ? std::string() : "&" + std::string(name) + "=" + percent_encode(value);
}

std::string status_of(http::Exchange& exchange, const pull::FoundListing& found) {
  auto fresh_for = found.fresh_until - exchange.loop().clock().monotonic();
  std::string status = cache_status(found.outcome, std::chrono::duration_cast<Duration>(fresh_for));
  exchange.note().cache_status = status;
  return status;
}

// Those of one artifact type, or all, as the inside of a JSON list.
std::string join(const pull::Listing& listing, const std::string& artifact_type) {
  if (artifact_type.empty()) return std::string(listing.all());
  std::string text;
  for (const pull::Listing::Item& item : listing.items()) {
    if (listing.artifact_type(item) != artifact_type) continue;
    if (!text.empty()) text += ',';
    text += listing.json(item);
  }
  return text;
}

// A repository's name needs no escaping in JSON.
std::string tags_document(const std::string& name, std::string_view tags) {
  return fmt::format("{{\"name\":\"{}\",\"tags\":[{}]}}\n", name, tags);
}

}  // namespace

Task<void> ListingRequests::answer_tags(std::shared_ptr<http::Exchange> exchange,
                                        pull::Addressing::Target target, std::string name, PageQuery query) {
  if (query.n == 0) {  // an empty list, by the specification, wherever it begins
    exchange->send(listing_head("application/json", cache_status(pull::Outcome::hit), target.ns),
                   tags_document(name, {}));
    co_return;
  }
  pull::ListingKey key{.repository = target.repository, .subject = {}, .query = query.text()};
  if (query.n) key.limit = static_cast<size_t>(*query.n);
  key.after = query.last;
  std::string client = http::client_of(exchange->request().peer);
  Result<pull::FoundListing> found = co_await puller_.listings().get(std::move(key), std::move(client));
  if (!found) {
    send_error(*exchange, found.error());
    co_return;
  }
  http::Head head = listing_head("application/json", status_of(*exchange, *found), target.ns);
  add_link(head, exchange->request(), found->listing->next_query, kept_parameter("ns", target.ns));
  size_t size = found->listing->weight();
  auto make = [listing = found->listing, name] { return tags_document(name, listing->all()); };
  std::string document = co_await write(size, std::move(make));
  exchange->send(std::move(head), std::move(document));
}

Task<void> ListingRequests::answer_referrers(std::shared_ptr<http::Exchange> exchange,
                                             pull::Addressing::Target target, Digest subject,
                                             PageQuery query) {
  pull::ListingKey key{.repository = target.repository, .subject = subject, .query = query.text()};
  std::string client = http::client_of(exchange->request().peer);
  Result<pull::FoundListing> found = co_await puller_.listings().get(std::move(key), std::move(client));
  if (!found) {
    send_error(*exchange, found.error());
    co_return;
  }
  http::Head head = listing_head(kIndexType, status_of(*exchange, *found), target.ns);
  if (!query.artifact_type.empty()) head.add("OCI-Filters-Applied", "artifactType");
  std::string kept = kept_parameter("artifactType", query.artifact_type) + kept_parameter("ns", target.ns);
  add_link(head, exchange->request(), found->listing->next_query, kept);
  size_t size = found->listing->weight();
  auto make = [listing = found->listing, type = query.artifact_type] {
    return fmt::format("{{\"schemaVersion\":2,\"mediaType\":\"{}\",\"manifests\":[{}]}}\n", kIndexType,
                       join(*listing, type));
  };
  std::string document = co_await write(size, std::move(make));
  exchange->send(std::move(head), std::move(document));
}

// A large one is megabytes: not for the loop to put together.
Task<std::string> ListingRequests::write(size_t size, std::function<std::string()> make) {
  if (size <= kSmallListing) co_return make();
  const pull::Context& context = puller_.context();
  co_return co_await run_on_disk(context.compute, context.loop, "write listing", std::move(make));
}

}  // namespace entrepot::registry
