#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

// What the verbs on the cache print for people. Pure functions of the daemon's answers.

namespace entrepot::cli {

using Json = nlohmann::ordered_json;

/// "1.4 GiB", "512 B"
std::string readable_size(uint64_t bytes);
/// Rows of equal width. `images`: those of an answer to `ls`.
std::string image_table(const Json& images, bool with_heading);
std::string stats_text(const Json& stats, bool is_running);
std::string pin_text(const Json& answer, bool is_pin);
std::string purge_text(const Json& answer);
/// What a purge has left, for standard error.
std::string kept_text(const Json& answer);
std::string verify_progress(const Json& answer);
std::string verify_text(const Json& answer);

}  // namespace entrepot::cli
