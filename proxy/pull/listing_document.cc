#include "proxy/pull/listing_document.h"

#include <nlohmann/json.hpp>

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
  ENTREPOT_TRY_ASSIGN(Json document, parse(bytes));
  auto manifests = document.find("manifests");
  if (manifests == document.end() || !(manifests->is_array() || manifests->is_null()))
    return fail(Errc::upstream_failed, "the upstream's referrers are no image index");
  Listing listing;
  for (const Json& descriptor : *manifests) {
    if (!descriptor.is_object()) continue;
    auto digest = descriptor.find("digest");
    bool is_sound = digest != descriptor.end() && digest->is_string() &&
                    Digest::parse(digest->get_ref<const std::string&>()).has_value();
    if (!is_sound) continue;
    auto type = descriptor.find("artifactType");
    bool has_type = type != descriptor.end() && type->is_string();
    listing.add(descriptor.dump(-1, ' ', false, Json::error_handler_t::replace),
                has_type ? type->get<std::string>() : std::string());
  }
  return listing;
}

}  // namespace entrepot::pull
