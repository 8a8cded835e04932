#include "upstream/aws/answer_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace entrepot::upstream::aws {
namespace {

constexpr size_t kMaxReason = 300;

}  // namespace

std::string text_in(const nlohmann::json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string as_reason(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c >= 0 && c < ' '; }, ' ');
  if (text.size() > kMaxReason) text.resize(kMaxReason);
  return text;
}

}  // namespace entrepot::upstream::aws
