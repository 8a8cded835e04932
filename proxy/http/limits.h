#pragma once

#include <cstddef>

#include "base/clock.h"

namespace entrepot::http {

/// Why a request is refused before any handler sees it. Both are constants, never a client's words.
struct Refusal {
  int status = 400;
  const char* message = "";
};

// Bounds of a request's head. What goes over them is refused as soon as it does.
inline constexpr size_t kMaxLeadingBytes =
    1024;  // empty lines before the request line (RFC 9112 section 2.2)
inline constexpr size_t kMaxMethodBytes = 32;
inline constexpr size_t kMaxTargetBytes = 8 * 1024;
inline constexpr size_t kMaxHeadBytes = 64 * 1024;
inline constexpr size_t kMaxFields = 100;

/// Bounds in time. A deadline is seen at the first sweep after it.
struct Limits {
  Duration header_timeout{10'000};  // for the whole head, from its first byte; the first also from accept
  Duration idle_timeout{75'000};    // between requests
  Duration stall_timeout{120'000};  // in which the client takes at least kMinProgressBytes of an answer
  Duration linger_timeout{1'000};  // reading on after the answer, so that the client can read it: 2 s at most
  Duration sweep_period{1'000};
};
inline constexpr size_t kMinProgressBytes = 4 * 1024;

}  // namespace entrepot::http
