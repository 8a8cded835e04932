// Tag lists and referrers. Their items are joined to new JSON for a client, so each must be sound by itself,
// and the joined list must be read as the same again.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/digest.h"
#include "base/reference.h"
#include "proxy/pull/listing_document.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using entrepot::Result;
using entrepot::pull::Listing;
using Json = nlohmann::json;

std::string joined(const Listing& listing, const std::string& key) {
  return "{\"" + key + "\":[" + std::string(listing.all()) + "]}";
}

void check_read_again(const Listing& listing, const Result<Listing>& again) {
  CHECK(again && again->items().size() == listing.items().size());
  for (size_t i = 0; i < listing.items().size(); ++i) {
    CHECK(again->json(again->items()[i]) == listing.json(listing.items()[i]));
    CHECK(again->artifact_type(again->items()[i]) == listing.artifact_type(listing.items()[i]));
  }
}

void check_error(const Result<Listing>& listing) {
  CHECK(listing ||
        (listing.error().code == entrepot::Errc::upstream_failed && !listing.error().message.empty()));
}

void check_tags(std::string_view bytes) {
  Result<Listing> tags = entrepot::pull::read_tag_list(bytes);
  check_error(tags);
  if (!tags) return;
  size_t weight = 0;
  for (const Listing::Item& item : tags->items()) {
    Json tag = Json::parse(tags->json(item), nullptr, false);
    CHECK(tag.is_string() && entrepot::is_tag(tag.get<std::string>()) && tags->artifact_type(item).empty());
    weight += tags->json(item).size();
  }
  CHECK(tags->weight() >= weight && tags->next_query.empty());
  check_read_again(*tags, entrepot::pull::read_tag_list(joined(*tags, "tags")));
}

void check_referrers(std::string_view bytes) {
  const entrepot::Digest digest = entrepot::Digest::of(bytes);
  Listing one;
  if (entrepot::pull::add_referrer(one, digest, "a/b", bytes)) {
    CHECK(one.items().size() == 1);
    // It is what the referrers API would give, and it is not given twice.
    std::string index = joined(one, "manifests");
    check_read_again(one, entrepot::pull::read_referrers(index));
    CHECK(entrepot::pull::add_referrers(one, index) && one.items().size() == 1);
  }
  Result<Listing> referrers = entrepot::pull::read_referrers(bytes);
  check_error(referrers);
  if (!referrers) return;
  for (const Listing::Item& item : referrers->items()) {
    std::string_view json = referrers->json(item);
    std::string_view type = referrers->artifact_type(item);
    Json descriptor = Json::parse(json, nullptr, false);
    CHECK(descriptor.is_object() && json.find('\n') == std::string::npos);
    CHECK(entrepot::Digest::parse(descriptor.at("digest").get<std::string>()).has_value());
    if (!type.empty()) CHECK(descriptor.at("artifactType") == std::string(type));
  }
  check_read_again(*referrers, entrepot::pull::read_referrers(joined(*referrers, "manifests")));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  entrepot::fuzz::Exact bytes(entrepot::fuzz::Input(data, size).rest());
  check_tags(bytes.view());
  check_referrers(bytes.view());
  return 0;
}
