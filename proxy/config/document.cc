#include "proxy/config/document.h"

#include <algorithm>
#include <optional>

#include "proxy/config/toml_flaws.h"

// Without exceptions toml++ gives a result instead; Debian's shared library is built with them, so this file
// is the header-only build, in toml++'s own inline namespace for it. Its assertions are off: 3.3 asserts on
// wrong input ("[.]", "a = [ }") for which it has a proper error behind the assertion. NDEBUG would turn some
// of them into assumptions instead.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#undef NDEBUG
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ASSERT(condition) static_cast<void>(0)
#include <toml++/toml.h>

namespace entrepot::config {
namespace {

constexpr int kMaxSyntaxErrors = 16;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

Checked wrong(std::string reason) { return tl::unexpected<std::string>(std::move(reason)); }

Checked list_of(const toml::array& array) {
  TextList list;
  for (const toml::node& node : array) {
    const toml::value<std::string>* text = node.as_string();
    if (text == nullptr) return wrong("must be a list of strings only");
    list.push_back(text->get());
  }
  return list;
}

Checked value_of(const toml::node& node) {
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* array = node.as_array()) return list_of(*array);
  if (node.is_floating_point()) return wrong("must not be a number with a fraction or an exponent");
  if (node.is_table()) return wrong("must not be a table");
  return wrong("must not be a date or time");
}

// Flattens one parsed tree.
class Flattener {
 public:
  Flattener(const std::string& source, Document& document) : source_(source), document_(document) {}

  void root(const toml::table& root) {
    for (const auto& [key, node] : root) {
      const toml::array* array = node.as_array();
      bool is_listed = array != nullptr && array->is_array_of_tables();
      if (key.str() == "upstream" && is_listed)
        for (const toml::node& table : *array) upstream(*table.as_table());
      else
        child("", key, node, document_.entries);
    }
  }

 private:
  Origin origin(const toml::source_region& region) const {
    return {source_, region.begin.line, region.begin.column};
  }

  void upstream(const toml::table& table) {
    Document::ListedTable listed{origin(table.source()), {}};
    for (const auto& [key, node] : table) child("upstream", key, node, listed.entries);
    document_.upstreams.push_back(std::move(listed));
  }

  // toml++ bounds the nesting of values (256) and, by the file's size, that of headers.
  void child(const std::string& section, const toml::key& key, const toml::node& node,
             std::vector<Document::Entry>& entries) {
    if (const toml::table* table = node.as_table()) {
      std::string name = section.empty() ? std::string(key.str()) : section + "." + std::string(key.str());
      document_.tables.push_back({name, origin(key.source())});
      if (std::count(name.begin(), name.end(), '.') > 8) return;
      for (const auto& [inner, value] : *table) child(name, inner, value, entries);
      return;
    }
    entries.push_back(
        {section, std::string(key.str()), value_of(node), origin(key.source()), origin(node.source())});
  }

  const std::string& source_;
  Document& document_;
};

// The text's line `number` (from 1), without its end.
struct Line {
  size_t at = 0;
  size_t size = 0;
};
std::optional<Line> find_line(std::string_view text, uint32_t number) {
  size_t at = 0;
  for (uint32_t i = 1; i < number; ++i) {
    at = text.find('\n', at);
    if (at == std::string_view::npos) return std::nullopt;
    ++at;
  }
  return Line{at, std::min(text.find('\n', at), text.size()) - at};
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }
bool is_header(std::string_view line) {
  size_t first = line.find_first_not_of(" \t");
  return first != std::string_view::npos && line[first] == '[';
}

void blank_out(std::string& text, Line line) {
  std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(line.at), line.size, ' ');
}

// Takes the line that toml++ stumbled over out of the text, and with a header all that belongs to it, so that
// the rest can be read. False where what follows would make no sense: in the middle of a list, say.
bool take_out(std::string& text, uint32_t number) {
  std::optional<Line> line = find_line(text, number);
  if (!line) return false;
  std::string_view content = std::string_view(text).substr(line->at, line->size);
  bool is_assignment = content.find('=') != std::string_view::npos &&
                       content.find_first_of("[]{}") == std::string_view::npos &&
                       content.find("\"\"\"") == std::string_view::npos &&
                       content.find("'''") == std::string_view::npos;
  bool was_header = is_header(content);
  if (is_blank(content) || (!was_header && !is_assignment)) return false;
  blank_out(text, *line);
  while (was_header) {
    line = find_line(text, ++number);
    if (!line || is_header(std::string_view(text).substr(line->at, line->size))) break;
    blank_out(text, *line);
  }
  return true;
}

// False when there were any.
bool take_out_flaws(std::string& text, const std::string& source, Report& report) {
  std::vector<Flaw> flaws = find_toml_flaws(text);
  for (const Flaw& flaw : flaws) {
    report.add({source, flaw.line, flaw.column}, "", std::string(flaw.reason));
    blank_out(text, find_line(text, flaw.line).value());
  }
  return flaws.empty();
}

}  // namespace

Document parse_document(std::string_view text, const std::string& source, Report& report) {
  Document document;
  if (text.starts_with(kByteOrderMark)) {
    report.add({source, 1, 1}, "", "begins with a byte order mark; save it as UTF-8 without one");
    text.remove_prefix(kByteOrderMark.size());
  }
  std::string left(text);
  for (int i = 0; i < kMaxSyntaxErrors; ++i) {
    // Each time: what a line that was taken out had quoted is not quoted any more.
    document.is_whole &= take_out_flaws(left, source, report);
    toml::parse_result result = toml::parse(std::string_view(left));
    if (result) {
      Flattener(source, document).root(result.table());
      return document;
    }
    const toml::parse_error& error = result.error();
    toml::source_position at = error.source().begin;
    report.add({source, at.line, at.column}, "", std::string(error.description()));
    document.is_whole = false;
    if (error.description().find("parsing array") != std::string_view::npos || !take_out(left, at.line))
      break;
  }
  return document;
}

Checked parse_list(std::string_view text) {
  constexpr std::string_view kForm = "must be a list: a,b or [\"a\", \"b\"]";
  std::string line = "list = " + std::string(text);
  if (!find_toml_flaws(line).empty()) return wrong(std::string(kForm));
  toml::parse_result result = toml::parse(std::string_view(line));
  const toml::array* array = result ? result.table()["list"].as_array() : nullptr;
  if (array == nullptr || result.table().size() != 1) return wrong(std::string(kForm));
  return list_of(*array);
}

}  // namespace entrepot::config
