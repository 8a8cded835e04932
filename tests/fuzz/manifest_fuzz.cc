// Manifests: the upstream's Content-Type in the first line, the document behind it. An accepted document must
// say to any other reader what it says to us: the oracles are a plain JSON parser, for which the last of two
// equal keys counts, and one for which the first does.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "proxy/pull/manifest_document.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using entrepot::Digest;
using entrepot::pull::ManifestDocument;
using entrepot::pull::read_manifest;
using Json = nlohmann::json;

void add_digest(const Json& descriptor, std::set<std::string>& digests) {
  if (!descriptor.contains("urls")) digests.insert(descriptor.at("digest").get<std::string>());
}

std::set<std::string> digests_in(const Json& json) {
  std::set<std::string> digests;
  if (json.contains("config")) digests.insert(json["config"].at("digest").get<std::string>());
  for (const char* list : {"layers", "blobs", "manifests"})
    if (json.contains(list))
      for (const Json& descriptor : json[list]) add_digest(descriptor, digests);
  return digests;
}

// As the plain parser, but for the first of equal keys.
Json first_of_each(std::string_view bytes) {
  std::vector<std::set<std::string>> keys;
  return Json::parse(
      bytes,
      [&](int, Json::parse_event_t event, const Json& value) {
        if (event == Json::parse_event_t::object_start) keys.emplace_back();
        if (event == Json::parse_event_t::object_end) keys.pop_back();
        return event != Json::parse_event_t::key || keys.back().insert(value.get<std::string>()).second;
      },
      false);
}

void check_same(const ManifestDocument& a, const ManifestDocument& b) {
  CHECK(std::ranges::equal(a.children, b.children, {}, &entrepot::cache::Descriptor::digest,
                           &entrepot::cache::Descriptor::digest));
}

void check_promises(const ManifestDocument& document, std::string_view bytes) {
  CHECK(bytes.find('\0') == std::string_view::npos);
  Json json = Json::parse(bytes, nullptr, false);
  CHECK(json.is_object());
  CHECK(!(json.contains("manifests") && (json.contains("layers") || json.contains("config"))));
  CHECK(!json.contains("schemaVersion") || json["schemaVersion"] != 1);

  std::set<std::string> digests;
  for (const auto& child : document.children) {
    CHECK(digests.insert(child.digest.text()).second && child.size <= INT64_MAX);
  }
  CHECK(digests == digests_in(json) && digests == digests_in(first_of_each(bytes)));
  std::string own_type = json.contains("mediaType") && json["mediaType"].is_string() ? json["mediaType"] : "";
  CHECK(own_type.empty() || own_type == document.media_type);
  CHECK(!document.media_type.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  entrepot::fuzz::Input input(data, size);
  std::string_view type = input.line();
  std::string_view bytes = input.rest();
  auto document = read_manifest(bytes, type);
  if (!document) {
    CHECK(document.error().code == entrepot::Errc::manifest_invalid && !document.error().message.empty());
    return 0;
  }
  check_promises(*document, bytes);
  // Space around it means nothing, and its own type is no contradiction.
  std::string padded = "\r\n\t " + std::string(bytes) + " \n";
  auto again = read_manifest(padded, document->media_type);
  CHECK(again && again->media_type == document->media_type);
  check_same(*again, *document);
  return 0;
}
