#include "proxy/pull/manifest_document.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace entrepot::pull {
namespace {

using Json = nlohmann::json;

// An index of every architecture and its attestations has dozens; a manifest a few hundred layers at most.
constexpr size_t kMaxChildren = 10'000;
constexpr int kMaxDepth = 32;
// What so many children are described with; each takes 16 bytes and more, whatever it takes in the text.
constexpr size_t kMaxValues = 200'000;

bool says_nothing(std::string_view type) {
  return type.empty() || type == "text/plain" || type == "application/octet-stream" ||
         type == "application/json";
}

// What is read of a manifest, or of a descriptor. Nothing else is kept: 4 MiB of JSON would be 100 MiB of it.
bool is_read(std::string_view key) {
  constexpr std::string_view kKeys[] = {"schemaVersion", "mediaType", "config", "layers", "blobs",
                                        "manifests",     "digest",    "size",   "urls",   "subject"};
  return std::ranges::find(kKeys, key) != std::end(kKeys);
}

// Decides what of a document is kept while it is parsed, and whether it is sound.
class ParseWatch {
 public:
  bool operator()(int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) is_sound_ = false;
    if (event == Json::parse_event_t::object_start) keys_.emplace_back();
    if (event == Json::parse_event_t::object_end && !keys_.empty()) keys_.pop_back();
    if (event != Json::parse_event_t::key) {
      if (!is_left_out_ && ++values_ > kMaxValues) is_sound_ = false;
      is_left_out_ = false;
      return is_sound_;
    }
    const auto& key = value.get_ref<const std::string&>();
    is_left_out_ = !is_read(key);
    if (is_left_out_) return false;
    // Of two values for one key, another reader may take the other.
    if (!keys_.empty() && !keys_.back().insert(key).second) is_sound_ = false;
    return is_sound_;
  }
  bool is_sound() const { return is_sound_; }

 private:
  bool is_sound_ = true;
  bool is_left_out_ = false;  // the value that comes next
  size_t values_ = 0;
  std::vector<std::set<std::string>> keys_;  // of each open object, those that are read
};

Result<Json> parse(std::string_view bytes) {
  // The parser would skip a byte order mark and end at a NUL; what it is shown must be the whole.
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  bool is_plain = !bytes.starts_with(kByteOrderMark) && bytes.find('\0') == std::string_view::npos;
  ParseWatch watch;
  Json document;
  if (is_plain) document = Json::parse(bytes, std::ref(watch), /*allow_exceptions=*/false);
  if (!is_plain || !watch.is_sound() || document.is_discarded() || !document.is_object())
    return fail(Errc::manifest_invalid, "the manifest is no JSON object, or an ambiguous one");
  return document;
}

std::string string_at(const Json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<cache::Descriptor> read_descriptor(const Json& json) {
  if (!json.is_object()) return fail(Errc::manifest_invalid, "a descriptor is no object");
  std::optional<Digest> digest = Digest::parse(string_at(json, "digest"));
  if (!digest) return fail(Errc::manifest_invalid, "a descriptor has no usable digest");
  auto size = json.find("size");
  bool has_size = size != json.end() && size->is_number_unsigned();
  uint64_t bytes = has_size ? size->get<uint64_t>() : 0;
  if (bytes > INT64_MAX) return fail(Errc::manifest_invalid, "a descriptor's size is beyond all sizes");
  return cache::Descriptor{*digest, bytes};
}

Status add_children(const Json& document, const char* key, std::vector<cache::Descriptor>& children) {
  auto list = document.find(key);
  if (list == document.end() || list->is_null()) return {};
  if (!list->is_array() || children.size() + list->size() > kMaxChildren)
    return fail(Errc::manifest_invalid, std::string("`") + key + "` is no list, or too long a one");
  for (const Json& entry : *list) {
    if (entry.is_object() && entry.contains("urls")) continue;
    ENTREPOT_TRY_ASSIGN(cache::Descriptor child, read_descriptor(entry));
    children.push_back(child);
  }
  return {};
}

void keep_distinct(std::vector<cache::Descriptor>& children) {
  std::ranges::sort(children, {}, &cache::Descriptor::digest);
  auto [first, last] = std::ranges::unique(children, {}, &cache::Descriptor::digest);
  children.erase(first, last);
}

}  // namespace

Result<ManifestDocument> read_manifest(std::string_view bytes, std::string_view content_type) {
  ENTREPOT_TRY_ASSIGN(Json json, parse(bytes));
  if (json.contains("schemaVersion") && json["schemaVersion"] == 1)
    return fail(Errc::manifest_invalid, "the manifest is of schema 1, which nobody pulls any more");
  if (json.contains("manifests") && (json.contains("layers") || json.contains("config")))
    return fail(Errc::manifest_invalid, "the document is both an index and a manifest");

  ManifestDocument document;
  document.is_index = json.contains("manifests");
  std::string own_type = string_at(json, "mediaType");
  if (!says_nothing(content_type)) {
    if (!own_type.empty() && own_type != content_type)
      return fail(Errc::manifest_invalid,
                  "the manifest calls itself " + own_type + " and the upstream calls it another type");
    document.media_type = content_type;
  } else if (!own_type.empty()) {
    document.media_type = own_type;
  } else {
    document.media_type = document.is_index ? "application/vnd.oci.image.index.v1+json"
                                            : "application/vnd.oci.image.manifest.v1+json";
  }

  if (json.contains("config")) {
    ENTREPOT_TRY_ASSIGN(cache::Descriptor config, read_descriptor(json["config"]));
    document.children.push_back(config);
  }
  ENTREPOT_TRY(add_children(json, "layers", document.children));
  ENTREPOT_TRY(add_children(json, "blobs", document.children));
  ENTREPOT_TRY(add_children(json, "manifests", document.children));
  keep_distinct(document.children);
  if (json.contains("subject") && json["subject"].is_object())
    document.subject = Digest::parse(string_at(json["subject"], "digest"));
  return document;
}

}  // namespace entrepot::pull
