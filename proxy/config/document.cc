#include "proxy/config/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "proxy/config/toml_flaws.h"
#include "proxy/config/toml_reason.h"
#include "proxy/config/toml_statement.h"

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

// As one name: [""] is not the top of the file, and ["server.tls"] not [server.tls].
std::string spelt(std::string_view name) {
  if (!name.empty() && name.find('.') == std::string_view::npos) return std::string(name);
  std::string out = "\"";
  for (char c : name) out += c == '.' ? std::string("\\u002E") : std::string(1, c);
  return out + "\"";
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
      std::string name = (section.empty() ? "" : section + ".") + spelt(key.str());
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

// Whether nothing stands in that line at that column or after it; toml++ counts characters, not bytes.
bool is_line_end(std::string_view text, toml::source_position at) {
  for (toml::source_index line = 1; line < at.line; ++line)
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  text = text.substr(0, text.find_first_of("\r\n"));
  auto characters = std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
  return static_cast<std::ptrdiff_t>(at.column) > characters;
}

// Takes out of a text what is wrong with its syntax, one thing after the other.
class Mender {
 public:
  Mender(std::string text, const std::string& source, Report& report)
      : left_(std::move(text)), source_(source), report_(report) {}

  /// What can be read of the text; nullopt when there is more wrong with it than it is worth.
  std::optional<toml::table> table() {
    while (take_out_flaws()) {
      toml::parse_result result = toml::parse(std::string_view(left_));
      if (result) return std::move(result.table());
      if (!take_out_error(result.error())) break;
    }
    return std::nullopt;
  }
  bool is_mended() const { return errors_ > 0; }

 private:
  // Each time anew: what a line that was taken out had quoted is not quoted any more.
  bool take_out_flaws() {
    std::vector<Statement> statements;
    for (const Flaw& flaw : find_toml_flaws(left_)) {
      Statement statement = likely_statement_at(left_, flaw.line);
      if (!say(flaw.line, flaw.column, statement.key, std::string(flaw.reason))) return false;
      statements.push_back(std::move(statement));
    }
    for (const Statement& statement : statements) take_out(left_, statement);
    return true;
  }

  bool take_out_error(const toml::parse_error& error) {
    toml::source_position at = error.source().begin;
    std::string reason = toml_reason(error.description(), is_line_end(left_, at));
    Statement statement = statement_at(left_, at.line);
    bool is_here = statement.line == at.line || statement.line == 0;
    if (!is_here) reason += fmt::format(" (noticed in line {})", at.line);
    if (!say(is_here ? at.line : statement.line, is_here ? at.column : statement.column, statement.key,
             std::move(reason)))
      return false;
    return take_out(left_, statement);
  }

  // False when it was one too many.
  bool say(uint32_t line, uint32_t column, std::string key, std::string reason) {
    if (++errors_ > kMaxSyntaxErrors) {
      report_.add({source_, line, column}, "",
                  "more is wrong with the syntax from here on; mend the rest first");
      return false;
    }
    report_.add({source_, line, column}, std::move(key), std::move(reason));
    return true;
  }

  std::string left_;
  const std::string& source_;
  Report& report_;
  int errors_ = 0;
};

bool is_utf16(std::string_view text) { return text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"); }

}  // namespace

Document parse_document(std::string_view text, const std::string& source, Report& report) {
  Document document;
  document.is_whole = false;
  if (is_utf16(text)) {
    report.add({source, 1, 1}, "", "is UTF-16; save it as UTF-8");
    return document;
  }
  if (text.starts_with(kByteOrderMark)) {
    report.add({source, 1, 1}, "", "begins with a byte order mark; save it as UTF-8 without one");
    text.remove_prefix(kByteOrderMark.size());
  }
  Mender mender(std::string(text), source, report);
  std::optional<toml::table> table = mender.table();
  if (!table) return document;
  Flattener(source, document).root(*table);
  document.is_whole = !mender.is_mended();
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
