#pragma once

#include <span>
#include <string_view>

// Every way in which something can go wrong, in one flat list, and one table that says what each means to a
// client, to the log and to the metrics. The table is tested exhaustively: a new code without a row fails.

namespace entrepot {

enum class Errc {
  // What the client asked for is wrong.
  bad_request,
  name_invalid,
  tag_invalid,
  digest_invalid,
  range_invalid,
  unsupported,
  request_too_large,
  client_rate_limited,
  // What it asked for is not there, or not his.
  not_found,
  name_unknown,
  manifest_unknown,
  blob_unknown,
  denied,
  // The upstream.
  upstream_unreachable,
  upstream_timeout,
  upstream_cut,
  upstream_failed,
  upstream_rate_limited,
  upstream_refused_credential,
  policy_refused,
  offline,
  digest_mismatch,
  manifest_invalid,
  // Ourselves.
  overloaded,
  shutting_down,
  cancelled,
  disk_full,
  io_error,
  cache_corrupt,
  config_invalid,
  internal,
};

enum class LogLevel { debug, info, warn, error };

struct ErrcInfo {
  Errc code;
  std::string_view label;  // metric label and `reason` in logs; stable
  int http_status;         // what a client of the data listener gets
  std::string_view
      oci_code;  // distribution-spec v1.1 "Error Codes", or UNKNOWN/UNAVAILABLE as registries use them
  LogLevel level;
  bool retryable;  // the same request may succeed soon without anybody doing anything
};

const ErrcInfo& describe(Errc code);
std::span<const ErrcInfo> all_errc();

}  // namespace entrepot
