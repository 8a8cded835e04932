#include "proxy/pull/listing_document.h"

#include <nlohmann/json.hpp>
#include <string>
#include <unordered_set>

#include "base/digest.h"
#include "base/reference.h"

namespace entrepot::pull {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 32;

Result<Json> parse(std::string_view bytes) {
  bool is_too_deep = false;
  auto watch_depth = [&is_too_deep](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) is_too_deep = true;
    return !is_too_deep;
  };
  Json document = Json::parse(bytes, watch_depth, /*allow_exceptions=*/false);
  if (is_too_deep || document.is_discarded() || !document.is_object())
    return fail(Errc::upstream_failed, "the upstream's listing is no JSON object");
  return document;
}

std::string text_of(const Json& object, const char* field) {
  auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void add(Listing& listing, const Json& descriptor) {
  listing.add(descriptor.dump(-1, ' ', false, Json::error_handler_t::replace),
              text_of(descriptor, "artifactType"));
}

}  // namespace

size_t Listing::weight() const {
  return sizeof *this + next_query.size() + json_.size() + types_.size() + items_.size() * sizeof(Item);
}

void Listing::add(std::string_view json, std::string_view artifact_type) {
  if (!items_.empty()) json_ += ',';
  items_.push_back({.begin = json_.size(),
                    .end = json_.size() + json.size(),
                    .type_begin = types_.size(),
                    .type_end = types_.size() + artifact_type.size()});
  json_ += json;
  types_ += artifact_type;
}

Result<Listing> read_tag_list(std::string_view bytes) {
  ENTREPOT_TRY_ASSIGN(Json document, parse(bytes));
  auto tags = document.find("tags");
  if (tags == document.end()) return fail(Errc::upstream_failed, "the upstream's tag list has no tags");
  Listing listing;
  if (tags->is_null()) return listing;  // as old registries say that there are none
  if (!tags->is_array()) return fail(Errc::upstream_failed, "the upstream's tags are no list");
  for (const Json& tag : *tags) {
    if (!tag.is_string() || !is_tag(tag.get_ref<const std::string&>())) continue;
    listing.add('"' + tag.get_ref<const std::string&>() + '"', {});
  }
  return listing;
}

Result<Listing> read_referrers(std::string_view bytes) {
  Listing listing;
  ENTREPOT_TRY(add_referrers(listing, bytes));
  return listing;
}

Status add_referrers(Listing& listing, std::string_view bytes) {
  ENTREPOT_TRY_ASSIGN(Json document, parse(bytes));
  auto manifests = document.find("manifests");
  if (manifests == document.end() || !(manifests->is_array() || manifests->is_null()))
    return fail(Errc::upstream_failed, "the upstream's referrers are no image index");
  std::unordered_set<std::string> known;
  for (const Listing::Item& item : listing.items())
    known.insert(Json::parse(listing.json(item)).at("digest").get<std::string>());
  for (const Json& descriptor : *manifests) {
    if (!descriptor.is_object()) continue;
    std::string digest = text_of(descriptor, "digest");
    if (!Digest::parse(digest) || known.contains(digest)) continue;
    add(listing, descriptor);
  }
  return {};
}

Status add_referrer(Listing& listing, const Digest& digest, std::string_view media_type,
                    std::string_view manifest) {
  ENTREPOT_TRY_ASSIGN(Json document, parse(manifest));
  Json descriptor{{"mediaType", media_type}, {"digest", digest.text()}, {"size", manifest.size()}};
  std::string type = text_of(document, "artifactType");
  auto config = document.find("config");
  if (type.empty() && config != document.end() && config->is_object()) type = text_of(*config, "mediaType");
  if (!type.empty()) descriptor["artifactType"] = type;
  auto annotations = document.find("annotations");
  if (annotations != document.end() && annotations->is_object())
    for (const auto& [key, value] : annotations->items())
      if (value.is_string()) descriptor["annotations"][key] = value;
  add(listing, descriptor);
  return {};
}

}  // namespace entrepot::pull
