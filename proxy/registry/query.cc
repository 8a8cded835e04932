#include "proxy/registry/query.h"

#include <algorithm>

#include <fmt/format.h>

#include "proxy/registry/route.h"

namespace entrepot::registry {
namespace {

constexpr size_t kMaxNsLength = 255;
constexpr size_t kMaxValue = 1024;
constexpr int kMaxPage = 1000;

struct Parameter {
  std::string_view name;  // as sent
  std::string_view value;
};

// Takes the next one off the query.
Parameter take_parameter(std::string_view& query) {
  size_t end = query.find('&');
  std::string_view part = query.substr(0, end);
  query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
  size_t equals = part.find('=');
  if (equals == std::string_view::npos) return {part, {}};
  return {part.substr(0, equals), part.substr(equals + 1)};
}

// The name decoded; what means nothing may be as broken as it likes.
std::string name_of(const Parameter& parameter) {
  Result<std::string> name = percent_decode(parameter.name);
  return name ? *name : std::string();
}

// Any byte may be encoded in an opaque value.
Result<std::string> decode_value(std::string_view text) {
  if (text.size() > kMaxValue) return fail(Errc::bad_request, "an overlong query parameter");
  return percent_decode(text, [](int) { return true; });
}

Result<int> read_count(std::string_view digits) {
  bool is_number =
      !digits.empty() && std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number) return fail(Errc::bad_request, "`n` must be a number");
  int count = 0;
  for (char c : digits) count = std::min(kMaxPage, count * 10 + (c - '0'));
  return count;
}

Status take_value(std::string& into, std::string_view value) {
  if (!into.empty()) return fail(Errc::bad_request, "a query parameter is given twice");
  ENTREPOT_TRY_ASSIGN(into, decode_value(value));
  return {};
}

}  // namespace

Result<std::optional<std::string>> read_ns(std::string_view query) {
  std::optional<std::string> ns;
  while (!query.empty()) {
    Parameter parameter = take_parameter(query);
    if (name_of(parameter) != "ns") continue;
    if (ns || parameter.value.empty() || parameter.value.size() > kMaxNsLength)
      return fail(Errc::bad_request, "a broken `ns` parameter");
    ENTREPOT_TRY_ASSIGN(std::string value, percent_decode(parameter.value));
    ns = std::move(value);
  }
  return ns;
}

Result<PageQuery> read_page_query(std::string_view query) {
  PageQuery page;
  while (!query.empty()) {
    Parameter parameter = take_parameter(query);
    std::string name = name_of(parameter);
    if (name == "n") {
      if (page.n) return fail(Errc::bad_request, "`n` is given twice");
      ENTREPOT_TRY_ASSIGN(page.n, read_count(parameter.value));
    } else if (name == "last") {
      ENTREPOT_TRY(take_value(page.last, parameter.value));
    } else if (name == "next_page") {
      ENTREPOT_TRY(take_value(page.next_page, parameter.value));
    } else if (name == "artifactType") {
      ENTREPOT_TRY(take_value(page.artifact_type, parameter.value));
    }
  }
  return page;
}

std::string PageQuery::text() const {
  std::string query;
  auto add = [&query](std::string_view name, std::string_view value) {
    if (!query.empty()) query += '&';
    query.append(name).append("=").append(percent_encode(value));
  };
  if (n) add("n", std::to_string(*n));
  if (!last.empty()) add("last", last);
  if (!next_page.empty()) add("next_page", next_page);
  return query;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kUnreserved = "-._~";
  std::string encoded;
  for (char c : text) {
    bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    kUnreserved.find(c) != std::string_view::npos;
    if (is_plain)
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

}  // namespace entrepot::registry
