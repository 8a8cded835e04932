#include "upstream/link.h"

#include <algorithm>
#include <string_view>

namespace entrepot::upstream {
namespace {

constexpr size_t kMaxQuery = 2048;

// What may stand in a query (RFC 3986 section 3.4) and in our own Link.
bool is_query_char(char c) {
  bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  bool is_digit = c >= '0' && c <= '9';
  return is_letter || is_digit || std::string_view("-._~!$&'()*+,;=:@/?%").find(c) != std::string_view::npos;
}

// Of one link-value: `<target>; rel="next"`.
bool is_next(std::string_view parameters) {
  for (std::string_view form : {"rel=\"next\"", "rel=next", "rel='next'"})
    if (parameters.find(form) != std::string_view::npos) return true;
  return false;
}

}  // namespace

std::string next_query_of(const ResponseHead& head) {
  for (std::string_view field : head.all("link")) {
    while (!field.empty()) {
      size_t begin = field.find('<');
      size_t end = begin == std::string_view::npos ? begin : field.find('>', begin);
      if (end == std::string_view::npos) break;
      std::string_view target = field.substr(begin + 1, end - begin - 1);
      field.remove_prefix(end + 1);
      // The parameters end at the comma before the next target.
      std::string_view parameters = field.substr(0, field.find('<'));
      size_t question = target.find('?');
      if (!is_next(parameters) || question == std::string_view::npos) continue;
      std::string_view query = target.substr(question + 1, target.find('#') - question - 1);
      if (query.size() <= kMaxQuery && std::ranges::all_of(query, is_query_char)) return std::string(query);
    }
  }
  return {};
}

}  // namespace entrepot::upstream
