#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/cache.h"

namespace entrepot::pull {

/// What a manifest or index says, as far as a cache must know. The bytes themselves are kept and served as
/// they came.
struct ManifestDocument {
  std::string media_type;  // what it is served as
  bool is_index = false;   // the children are manifests
  // Config and layers, or the manifests of an index; distinct digests. A foreign layer (one with `urls`) is
  // none: the registry need not hold it, so naming it proves no right to it.
  std::vector<cache::Descriptor> children;
  std::optional<Digest> subject;  // what it refers to; proves no right to it
};

/// Reads a manifest of the types in image-spec v1.1 and Docker's schema 2. `content_type` is what the
/// upstream called it;
/// "" and types that say nothing (text/plain, octet-stream) leave it to the document. manifest_invalid for
/// what is no JSON object, holds both `manifests` and `layers` (GHSA-qq97-vm5h-rrhg), contradicts its content
/// type, or is schema 1.
Result<ManifestDocument> read_manifest(std::string_view bytes, std::string_view content_type);

}  // namespace entrepot::pull
