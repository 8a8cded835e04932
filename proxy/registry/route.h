#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace entrepot::registry {

/// What a path of the data listener means, by the distribution-spec's endpoints (end-1, end-2, end-3, end-8,
/// end-12).
struct Route {
  enum class Kind { ping, manifest, blob, tags, referrers, other };
  Kind kind = Kind::other;
  std::string name;       // as in the URL, before addressing; checked by is_repository_name
  std::string reference;  // tag or digest, unchecked
  bool names_upstream =
      false;  // the path began with a registry's name: the first component of `name` must be one
};

/// The shapes of a mirror's URL: "/v2/<name>/…", "/<registry>/v2/<name>/…" (a mirror URL with a path:
/// dockerd, containerd) and
/// "/<registry>/<name>/…" (containerd with override_path). Reads a path from the right, because a name may
/// itself hold components called `blobs` or `manifests`. Percent-encoding is undone once; an encoded '/' ,
/// NUL or what is no valid encoding is refused. Errors: name_invalid, bad_request; a path that is none of
/// ours: not_found.
Result<Route> read_route(std::string_view path);

/// Undoes percent-encoding once. bad_request for "%zz", and for what decodes to '/', '%' or a control
/// character.
Result<std::string> percent_decode(std::string_view text);
/// The same with another word on which bytes may be encoded.
Result<std::string> percent_decode(std::string_view text, bool (*may_stand)(int byte));

}  // namespace entrepot::registry
