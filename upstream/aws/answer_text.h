#pragma once

#include <ctime>
#include <string>

namespace entrepot::upstream::aws {

/// What another says of its reasons, as it goes into our log: short, and in one line.
std::string as_reason(std::string text);

/// Later times than this are not taken from others: in 2262 a clock of nanoseconds is full.
constexpr time_t kLatestTime = 7'000'000'000;

}  // namespace entrepot::upstream::aws
