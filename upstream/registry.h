#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/digest.h"
#include "base/reference.h"
#include "base/result.h"
#include "base/task/task.h"
#include "upstream/settings.h"

namespace entrepot::upstream {

struct ManifestHead {
  std::optional<Digest> digest;  // Docker-Content-Digest, when it is there and well-formed
  std::string media_type;        // Content-Type without parameters
  std::optional<uint64_t> size;
};

struct ManifestBody {
  std::string bytes;  // at most 4 MiB; not verified yet
  std::string media_type;
};

struct BlobHead {
  std::optional<uint64_t> size;  // Content-Length, when it is there
};

/// The body of a blob that is arriving. Owned by the flow that reads it; destroying it ends the transfer at
/// once. Lives on one loop.
class BlobBody {
 public:
  virtual ~BlobBody() = default;
  /// Content-Length of the final answer, when it had one.
  virtual std::optional<uint64_t> size() const = 0;
  /// The next bytes, at most 512 KiB; empty at a proper end (Content-Length reached, last chunk seen, or a
  /// close where neither was given). upstream_failed when it was cut, upstream_timeout when nothing came for
  /// 60 s. The transfer is paused while more than 1 MiB waits to be read.
  virtual Task<Result<std::string>> read() = 0;
};

/// A registry as a client sees it: the pull side of the distribution-spec, with the auth, the redirects and
/// the time-outs that each upstream wants. One per upstream and loop; all functions on that loop's thread.
/// Knows no cache: nothing is remembered here but tokens.
///
/// Errors, alike for all: upstream_unreachable (no connection, TLS), upstream_timeout, upstream_rate_limited
/// (429, with retry_after_seconds), denied (401 or 403 for good), manifest_unknown / blob_unknown /
/// name_unknown (a true 404), policy_refused (a realm or redirect we do not follow),
/// upstream_refused_credential (the token service or the registry refused our own credential),
/// upstream_failed (5xx and all that makes no sense).
class Registry {
 public:
  virtual ~Registry() = default;
  virtual const Settings& settings() const = 0;
  /// HEAD /v2/<name>/manifests/<reference> (end-3), with our own Accept list.
  virtual Task<Result<ManifestHead>> head_manifest(std::string repository, Reference reference) = 0;
  /// GET of the same.
  virtual Task<Result<ManifestBody>> get_manifest(std::string repository, Reference reference) = 0;
  /// HEAD /v2/<name>/blobs/<digest> (end-2): whether the blob is there. Where HEAD is refused, a GET whose
  /// body is dropped says so: ECR Public refuses every HEAD of a blob, and URLs that are signed for GET do.
  virtual Task<Result<BlobHead>> head_blob(std::string repository, Digest digest) = 0;
  /// GET of the same: gives back when the head of the final answer, after redirects, is
  /// there.
  virtual Task<Result<std::unique_ptr<BlobBody>>> get_blob(std::string repository, Digest digest) = 0;
};

}  // namespace entrepot::upstream
