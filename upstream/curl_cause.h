#pragma once

#include <curl/curl.h>

#include <string_view>

namespace entrepot::upstream {

/// Why a transfer ended, in libcurl's words (`text` is its CURLOPT_ERRORBUFFER): for messages, so without
/// what a message must not hold. A proxy's URL that libcurl can't use is quoted by it whole, with the
/// password that an environment variable may hold.
std::string_view curl_cause(CURLcode code, const char* text);

}  // namespace entrepot::upstream
