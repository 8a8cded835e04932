#include "upstream/json_fields.h"

#include <nlohmann/json.hpp>

namespace entrepot::upstream {

std::string text_in(const nlohmann::json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const nlohmann::json* object_in(const nlohmann::json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_object() ? &*found : nullptr;
}

}  // namespace entrepot::upstream
