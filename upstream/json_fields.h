#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace entrepot::upstream {

/// Members of a JSON object that others wrote: a missing one and one of another type are the same.

/// "" when it is no text. The empty text for something that is no object, too.
std::string text_in(const nlohmann::json& object, const char* name);
/// nullptr when it is no object. It lives as long as `object`.
const nlohmann::json* object_in(const nlohmann::json& object, const char* name);

}  // namespace entrepot::upstream
