#include "base/errc.h"

#include <cstddef>

namespace entrepot {
namespace {

constexpr ErrcInfo kTable[] = {
    {Errc::bad_request, "bad_request", 400, "UNSUPPORTED", LogLevel::info, false},
    {Errc::name_invalid, "name_invalid", 400, "NAME_INVALID", LogLevel::info, false},
    {Errc::tag_invalid, "tag_invalid", 400, "TAG_INVALID", LogLevel::info, false},
    {Errc::digest_invalid, "digest_invalid", 400, "DIGEST_INVALID", LogLevel::info, false},
    {Errc::range_invalid, "range_invalid", 416, "RANGE_INVALID", LogLevel::info, false},
    {Errc::unsupported, "unsupported", 405, "UNSUPPORTED", LogLevel::info, false},
    {Errc::request_too_large, "request_too_large", 431, "UNSUPPORTED", LogLevel::info, false},
    {Errc::client_rate_limited, "client_rate_limited", 429, "TOOMANYREQUESTS", LogLevel::info, true},
    {Errc::not_found, "not_found", 404, "NAME_UNKNOWN", LogLevel::info, false},
    {Errc::name_unknown, "name_unknown", 404, "NAME_UNKNOWN", LogLevel::info, false},
    {Errc::manifest_unknown, "manifest_unknown", 404, "MANIFEST_UNKNOWN", LogLevel::info, false},
    {Errc::blob_unknown, "blob_unknown", 404, "BLOB_UNKNOWN", LogLevel::info, false},
    {Errc::denied, "denied", 403, "DENIED", LogLevel::info, false},
    {Errc::upstream_unreachable, "upstream_unreachable", 502, "UNAVAILABLE", LogLevel::warn, true},
    {Errc::upstream_timeout, "upstream_timeout", 504, "UNAVAILABLE", LogLevel::warn, true},
    {Errc::upstream_cut, "upstream_cut", 502, "UNAVAILABLE", LogLevel::warn, true},
    {Errc::upstream_failed, "upstream_failed", 502, "UNAVAILABLE", LogLevel::warn, true},
    {Errc::upstream_rate_limited, "upstream_rate_limited", 429, "TOOMANYREQUESTS", LogLevel::warn, true},
    {Errc::upstream_refused_credential, "upstream_refused_credential", 502, "UNAVAILABLE", LogLevel::error,
     false},
    {Errc::policy_refused, "policy_refused", 502, "UNAVAILABLE", LogLevel::error, false},
    {Errc::offline, "offline", 404, "MANIFEST_UNKNOWN", LogLevel::info, false},
    {Errc::digest_mismatch, "digest_mismatch", 502, "UNAVAILABLE", LogLevel::error, true},
    {Errc::manifest_invalid, "manifest_invalid", 502, "MANIFEST_INVALID", LogLevel::warn, false},
    {Errc::overloaded, "overloaded", 503, "UNAVAILABLE", LogLevel::warn, true},
    {Errc::shutting_down, "shutting_down", 503, "UNAVAILABLE", LogLevel::info, true},
    {Errc::cancelled, "cancelled", 503, "UNAVAILABLE", LogLevel::debug, true},
    {Errc::disk_full, "disk_full", 503, "UNAVAILABLE", LogLevel::error, true},
    {Errc::io_error, "io_error", 500, "UNKNOWN", LogLevel::error, true},
    {Errc::cache_corrupt, "cache_corrupt", 500, "UNKNOWN", LogLevel::error, true},
    {Errc::config_invalid, "config_invalid", 500, "UNKNOWN", LogLevel::error, false},
    {Errc::internal, "internal", 500, "UNKNOWN", LogLevel::error, false},
};

constexpr bool table_is_in_order() {
  for (size_t i = 0; i < std::size(kTable); ++i)
    if (static_cast<size_t>(kTable[i].code) != i) return false;
  return std::size(kTable) == static_cast<size_t>(Errc::internal) + 1;
}
static_assert(table_is_in_order(), "one row for each Errc, in the order of the enumeration");

}  // namespace

const ErrcInfo& describe(Errc code) { return kTable[static_cast<size_t>(code)]; }

std::span<const ErrcInfo> all_errc() { return kTable; }

}  // namespace entrepot
