#include "proxy/registry/listing_requests.h"

#include <utility>

#include "proxy/http/address.h"
#include "proxy/registry/answers.h"

namespace entrepot::registry {
namespace {

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
  std::string text;
  for (const pull::Listing::Item& item : listing.items) {
    if (!artifact_type.empty() && item.artifact_type != artifact_type) continue;
    if (!text.empty()) text += ',';
    text += item.json;
  }
  return text;
}

void send_tags(http::Exchange& exchange, http::Head head, const std::string& name, const std::string& tags) {
  // A repository's name needs no escaping in JSON.
  exchange.send(std::move(head), "{\"name\":\"" + name + "\",\"tags\":[" + tags + "]}\n");
}

}  // namespace

Task<void> ListingRequests::answer_tags(std::shared_ptr<http::Exchange> exchange,
                                        pull::Addressing::Target target, std::string name, PageQuery query) {
  if (query.n == 0) {  // an empty list, by the specification, wherever it begins
    send_tags(*exchange, listing_head("application/json", cache_status(pull::Outcome::hit), target.ns), name,
              {});
    co_return;
  }
  pull::ListingKey key{.repository = target.repository, .subject = {}, .query = query.text()};
  std::string client = http::client_of(exchange->request().peer);
  Result<pull::FoundListing> found = co_await puller_.listings().get(std::move(key), std::move(client));
  if (!found) {
    send_error(*exchange, found.error());
    co_return;
  }
  http::Head head = listing_head("application/json", status_of(*exchange, *found), target.ns);
  add_link(head, exchange->request(), found->listing->next_query, kept_parameter("ns", target.ns));
  send_tags(*exchange, std::move(head), name, join(*found->listing, {}));
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
  constexpr char kType[] = "application/vnd.oci.image.index.v1+json";
  http::Head head = listing_head(kType, status_of(*exchange, *found), target.ns);
  if (!query.artifact_type.empty()) head.add("OCI-Filters-Applied", "artifactType");
  std::string kept = kept_parameter("artifactType", query.artifact_type) + kept_parameter("ns", target.ns);
  add_link(head, exchange->request(), found->listing->next_query, kept);
  exchange->send(std::move(head), std::string("{\"schemaVersion\":2,\"mediaType\":\"") + kType +
                                      "\",\"manifests\":[" + join(*found->listing, query.artifact_type) +
                                      "]}\n");
}

}  // namespace entrepot::registry
