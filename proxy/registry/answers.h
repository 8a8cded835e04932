#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "proxy/http/exchange.h"
#include "proxy/pull/context.h"

// The heads and bodies of the /v2/ API: which fields every answer carries (product surface; wire facts: every
// client checks another subset of them), and the OCI error documents.

namespace entrepot::registry {

/// "entrepot; hit", "entrepot; fwd=miss; collapsed", … (RFC 9211). `fresh_for` is given for tags.
std::string cache_status(pull::Outcome outcome, Duration fresh_for = Duration::zero());

http::Head manifest_head(const Digest& digest, const std::string& media_type, const std::string& status,
                         const std::string& ns);
http::Head blob_head(const Digest& digest, const std::string& status, const std::string& ns);

http::Head listing_head(const std::string& media_type, const std::string& status, const std::string& ns);

/// The client's If-None-Match names this digest (RFC 9110 section 13.1.2): strong, weak, without quotes as
/// some registries accept it, or `*`. Ask when the client's right to the object is settled, not before.
bool is_known_to_client(const http::Request& request, const Digest& digest);
/// 304. `status`: its Cache-Status.
void send_not_modified(http::Exchange& exchange, const Digest& digest, const std::string& status,
                       const std::string& ns);

/// Notes for the access log how long the upstream took, from `asked_at` until now.
void note_upstream(http::Exchange& exchange, MonotonicTime asked_at);

/// Answers with the error's status and an OCI error document. A 429 or 503 carries Retry-After when the
/// upstream gave one. `is_head`: the same head.
void send_error(http::Exchange& exchange, const Error& error);

/// 416: nothing of what the Range asks for lies in the blob of `size` bytes.
void send_range_invalid(http::Exchange& exchange, uint64_t size, const Error& error);

/// 405 UNSUPPORTED with Allow; the body is not read.
void send_write_refused(http::Exchange& exchange);

/// The answer to GET /v2/ (end-1).
std::shared_ptr<const http::CannedAnswer> ping_answer();

}  // namespace entrepot::registry
