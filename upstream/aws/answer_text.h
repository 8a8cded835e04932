#pragma once

#include <ctime>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace entrepot::upstream::aws {

/// The member's text; "" when there is none, or it is no text.
std::string text_in(const nlohmann::json& object, const char* name);

/// What another says of its reasons, as it goes into our log: short, and in one line.
std::string as_reason(std::string text);

/// Later times than this are not taken from others: in 2262 a clock of nanoseconds is full.
constexpr time_t kLatestTime = 7'000'000'000;

}  // namespace entrepot::upstream::aws
