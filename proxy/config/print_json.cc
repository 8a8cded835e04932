#include <nlohmann/json.hpp>

#include "proxy/config/binding.h"
#include "proxy/config/config.h"

namespace entrepot::config {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Value& value) {
  return std::visit([](const auto& inner) { return Json(inner); }, value);
}

// "server.tls" stands inside "server".
Json& section_of(Json& root, std::string_view section) {
  Json* at = &root;
  while (!section.empty()) {
    size_t dot = section.find('.');
    at = &(*at)[std::string(section.substr(0, dot))];
    section.remove_prefix(dot == std::string_view::npos ? section.size() : dot + 1);
  }
  return *at;
}

// File names and broken files may hold bytes that are not UTF-8.
std::string dumped(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

}  // namespace

std::string to_json(const Config& config) {
  Json root;
  for (const Key& key : all_keys())
    if (!key.is_of_upstream())
      section_of(root, key.section)[std::string(key.name)] = json_of(take(key, config));
  root["upstream"] = Json::array();
  for (const upstream::Settings& settings : config.upstreams) {
    Json table;
    for (const Key& key : all_keys())
      if (key.is_of_upstream()) table[std::string(key.name)] = json_of(take(key, settings));
    root["upstream"].push_back(std::move(table));
  }
  return dumped(root);
}

std::string to_json(const std::vector<ConfigError>& errors) {
  Json list = Json::array();
  for (const ConfigError& error : errors) {
    Json entry;
    entry["source"] = error.source;
    entry["line"] = error.line;
    entry["column"] = error.column;
    entry["key"] = error.key;
    entry["reason"] = error.reason;
    list.push_back(std::move(entry));
  }
  Json root;
  root["errors"] = std::move(list);
  return dumped(root);
}

}  // namespace entrepot::config
