#include "proxy/config/value.h"

#include <fmt/format.h>

#include <array>

namespace entrepot::config {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\u{:04X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    else
      out += c;
  }
  return out + "\"";
}

std::string quoted(const TextList& list) {
  std::string out = "[";
  for (const std::string& item : list) {
    if (out.size() > 1) out += ", ";
    out += quoted(item);
  }
  return out + "]";
}

}  // namespace

std::string_view shape_of(const Value& value) {
  static constexpr std::array<std::string_view, 4> kShapes = {"a boolean", "an integer", "a string",
                                                              "a list of strings"};
  return kShapes.at(value.index());
}

std::string to_toml(const Value& value) {
  if (const bool* boolean = std::get_if<bool>(&value)) return *boolean ? "true" : "false";
  if (const int64_t* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  if (const std::string* text = std::get_if<std::string>(&value)) return quoted(*text);
  return quoted(std::get<TextList>(value));
}

}  // namespace entrepot::config
