#pragma once

#include <string>
#include <string_view>

namespace entrepot::upstream {

/// The first error of an OCI error document (distribution-spec, "Error Codes").
struct ErrorBody {
  std::string code;     // "NAME_UNKNOWN"
  std::string message;  // for people; holds whatever the registry put there

  /// Both empty for what is none.
  static ErrorBody parse(std::string_view text);
  /// GHCR tells in the message of a 429 when to come again, as Go writes a duration: "retry-after: 1m2.5s,
  /// allowed: 44000/minute". Whole seconds, rounded up, at least 1 and at most a day; 0 when it is not told.
  int retry_after_seconds() const;
};

}  // namespace entrepot::upstream
