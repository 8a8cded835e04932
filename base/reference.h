#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/digest.h"

// The names of the distribution-spec v1.1 ("Pulling manifests"): what may stand in a URL, a file name or an
// index key is checked here and nowhere else.

namespace entrepot {

/// `<name>` of the spec, at most 255 bytes: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/…)*`.
bool is_repository_name(std::string_view name);

/// `<reference>` as a tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
bool is_tag(std::string_view tag);

/// A manifest's `<reference>`: a tag or a digest.
using Reference = std::variant<std::string, Digest>;

/// Text with ':' must be a digest, all else a tag; nullopt when it is neither.
std::optional<Reference> parse_reference(std::string_view text);
std::string to_text(const Reference& reference);

}  // namespace entrepot
