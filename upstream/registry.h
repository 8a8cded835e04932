#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/digest.h"
#include "base/loop/slots.h"
#include "base/reference.h"
#include "base/result.h"
#include "base/task/task.h"
#include "upstream/settings.h"

namespace entrepot::upstream {

struct ManifestHead {
  std::optional<Digest> digest;  // Docker-Content-Digest, when it is there and well-formed
  std::string media_type;        // Content-Type without parameters
  std::optional<uint64_t> size;
  bool is_limit_nearly_used_up = false;  // the registry said that few GETs of manifests are left (RateLimit)
};

/// `room`: large answers are kept in memory by so many at once (Slots). To be given back on the registry's
/// loop, as soon as the bytes are not needed; empty for small ones.
struct ManifestBody {
  std::string bytes;  // at most 4 MiB; not verified yet
  std::string media_type;
  Slots::Slot room = {};
};

struct BlobHead {
  std::optional<uint64_t> size;  // Content-Length, when it is there
};

/// A GET of a blob.
struct BlobRequest {
  std::string repository;
  Digest digest;
  uint64_t from = 0;                   // where to begin
  std::optional<uint64_t> until = {};  // where to end; nothing = at the blob's end
  size_t origin = 0;                   // which of the upstream's origins is asked
  bool is_bypass = false;  // streamed to one client, at his pace: leaves half of the connections for blobs
};

/// The tags of a repository (end-8), or the referrers of `subject` in it (end-12).
struct ListingRequest {
  std::string repository;
  std::optional<Digest> subject;
  std::string query;  // "n=5&last=b", encoded; "" = none
};

struct ListingPage {
  std::string bytes;       // JSON, at most 8 MiB, not looked at yet
  std::string next_query;  // of the next page, by the Link field; "" = this is the last
  Slots::Slot room = {};   // as in ManifestBody
};

/// The body of a blob that is arriving. Owned by the flow that reads it; destroying it ends the transfer at
/// once. Lives on one loop.
class BlobBody {
 public:
  virtual ~BlobBody() = default;
  /// The whole blob's size, when the answer tells: Content-Length of a 200, the total in a 206's
  /// Content-Range.
  virtual std::optional<uint64_t> size() const = 0;
  /// Where in the blob the bytes begin: at `BlobRequest::from`, or at 0 when the Range was refused.
  virtual uint64_t begin() const = 0;
  /// The next bytes, at most 256 KiB; empty at a proper end (Content-Length reached, last chunk seen, or a
  /// close where neither was given). upstream_cut when the connection broke first, upstream_timeout when less
  /// than 64 KiB came in 60 s. The transfer is paused while more than 256 KiB wait to be read (128 KiB of a
  /// bypass).
  virtual Task<Result<std::string>> read() = 0;
};

/// A registry as a client sees it: the pull side of the distribution-spec, with the auth, the redirects and
/// the time-outs that each upstream wants. One per upstream and loop; all functions on that loop's thread.
/// Knows no cache: nothing is remembered here but tokens.
///
/// Errors, alike for all: upstream_unreachable (no connection, TLS), upstream_timeout, upstream_rate_limited
/// (429, with retry_after_seconds), denied (401 or 403 for good), manifest_unknown / blob_unknown /
/// name_unknown (a true 404), policy_refused (a realm or redirect we do not follow),
/// upstream_refused_credential (the token service or the registry refused our own credential), upstream_cut
/// (the connection broke in the middle), upstream_failed (5xx and all that makes no sense).
///
/// An upstream has one or more origins, all with the same content: its url (0) and its mirrors, in the order
/// in which they are to be tried. Our credential goes to the url alone.
class Registry {
 public:
  virtual ~Registry() = default;
  virtual const Settings& settings() const = 0;
  /// Nobody is asked: every call fails with `offline`.
  virtual bool is_offline() const { return false; }
  /// How many origins there are; at least 1.
  virtual size_t origins() const = 0;
  /// HEAD /v2/<name>/manifests/<reference> (end-3), with our own Accept list. When an origin has not answered
  /// (is_no_answer), the next is asked.
  virtual Task<Result<ManifestHead>> head_manifest(std::string repository, Reference reference) = 0;
  /// GET of the same, from one origin: only who has verified what came can say whether another is needed.
  virtual Task<Result<ManifestBody>> get_manifest(std::string repository, Reference reference,
                                                  size_t origin) = 0;
  /// HEAD /v2/<name>/blobs/<digest> (end-2): whether the blob is there. Where HEAD is refused, a GET whose
  /// body is dropped says so: ECR Public refuses every HEAD of a blob, and URLs that are signed for GET do.
  /// When an origin has not answered, the next is asked.
  virtual Task<Result<BlobHead>> head_blob(std::string repository, Digest digest) = 0;
  /// GET of the same, from one origin: gives back when the head of the final answer, after redirects, is
  /// there. A Range that is refused (200, 400, 416) is given up: the body then begins at 0. A 206 that is not
  /// exactly what was asked for is upstream_failed.
  virtual Task<Result<std::unique_ptr<BlobBody>>> get_blob(BlobRequest request) = 0;
  /// GET of a listing. manifest_unknown for referrers: this registry has no such API, or none for this
  /// subject; the fallback tag may tell. When an origin has not answered, the next is asked.
  virtual Task<Result<ListingPage>> list(ListingRequest request) = 0;
};

/// Whether the upstream has not answered the question, as opposed to having said no: another origin, or the
/// same one later, may answer it.
bool is_no_answer(const Error& error);

}  // namespace entrepot::upstream
