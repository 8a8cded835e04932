#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Sizes and durations as the configuration writes them.

namespace entrepot {

/// "20GiB", "512 KiB", "1048576", "5MB": a whole number or a decimal fraction and a unit of B, kB/KB, MB, GB,
/// TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024); bytes without a unit. nullopt for anything
/// else and for what does not fit.
std::optional<uint64_t> parse_size(std::string_view text);
/// The shortest exact form in binary units: "20GiB", "1536MiB", "1000".
std::string format_size(uint64_t bytes);

/// "500ms", "10s", "5m", "2h", "7d", or several parts as "1h30m". A bare "0" is zero; any other bare number
/// has no unit and is refused.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
std::string format_duration(std::chrono::milliseconds duration);

}  // namespace entrepot
