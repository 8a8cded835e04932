#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/digest.h"

namespace entrepot::cache {

/// One repository of one upstream. All that is kept is keyed by these two, never by a URL.
struct Repository {
  std::string upstream;  // its configured `name`
  std::string name;      // with `library/` already added
  bool operator==(const Repository&) const = default;
};

/// A tag of a repository, or a manifest that it holds without one.
struct ImageName {
  Repository repository;
  std::string tag;                 // "" = none
  std::optional<Digest> manifest;  // set when there is no tag

  /// "docker.io/library/nginx:1.27", "quay.io/a/b@sha256:…"
  std::string text() const;
};

struct Image {
  ImageName name;
  Digest manifest;
  std::string media_type;                   // "" = the manifest is not here
  std::optional<WallTime> checked_at = {};  // when the upstream last confirmed the tag
  std::optional<WallTime> used_at = {};     // not long before it was last used; nothing = not known
  uint64_t blobs = 0;                       // its manifests and blobs that are here
  uint64_t missing = 0;                     // named by what is here, and not here
  uint64_t bytes = 0;                       // of those that are here
  bool is_pinned = false;
};

/// What is empty selects all.
struct ImageSelection {
  std::string upstream;               // a name
  std::string repository;             // a glob: `*` any characters, `?` one, `[…]` one of these
  std::string tag;                    // a glob; with it, what has no tag is not selected
  std::optional<Digest> digest = {};  // of a manifest, or of a blob (to purge it)

  bool is_all() const { return upstream.empty() && repository.empty() && tag.empty() && !digest; }
};

struct CacheTotals {
  uint64_t blobs = 0;  // manifests among them
  uint64_t manifests = 0;
  uint64_t tags = 0;
  uint64_t links = 0;
  uint64_t repositories = 0;
  uint64_t pinned_images = 0;
  uint64_t blob_bytes = 0;    // on disk
  uint64_t pinned_bytes = 0;  // of them
};

}  // namespace entrepot::cache
