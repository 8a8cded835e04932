#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"
#include "proxy/config/document.h"
#include "proxy/config/draft.h"

namespace entrepot::config {
namespace {

constexpr size_t kMaxFile = size_t{1} << 20;

tl::expected<std::string, std::string> read_file(const std::string& path) {
  auto failed = [] {
    return tl::unexpected<std::string>(fmt::format("cannot be read: {}", std::strerror(errno)));
  };
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return failed();
  std::string text;
  while (text.size() <= kMaxFile) {
    size_t had = text.size();
    text.resize(had + 65536);
    ssize_t got = read(fd.get(), text.data() + had, text.size() - had);
    if (got < 0 && errno != EINTR) return failed();
    text.resize(had + static_cast<size_t>(got < 0 ? 0 : got));
    if (got == 0) return text;
  }
  return tl::unexpected<std::string>("is larger than 1MiB");
}

// Fills a draft from a document.
class FileSource {
 public:
  FileSource(Draft& draft, Report& report) : draft_(draft), report_(report) {}

  void apply(const Document& document) {
    for (const Document::Table& table : document.tables) check_table(table);
    for (const Document::Entry& entry : document.entries) {
      if (entry.section.empty() && is_section(entry.name))
        report_.add(entry.key_at, entry.name, how_to_write(entry.name));
      else if (is_section(entry.section) && entry.section != "upstream")
        apply_entry(entry, "", draft_.settings);
    }
    is_whole_ = document.is_whole;
    for (const Document::ListedTable& table : document.upstreams) apply_upstream(table);
  }

 private:
  static std::string how_to_write(std::string_view section) {
    if (section == "upstream") return "write [[upstream]]: a list of tables, one for each upstream";
    return fmt::format("write [{}]: a table", section);
  }

  void check_table(const Document::Table& table) {
    if (table.section == "upstream") return report_.add(table.at, table.section, how_to_write(table.section));
    if (is_section(table.section)) return;
    size_t dot = table.section.rfind('.');
    std::string parent = dot == std::string::npos ? "" : table.section.substr(0, dot);
    std::string name = dot == std::string::npos ? table.section : table.section.substr(dot + 1);
    if (find_key(parent, name) != nullptr) return report_.add(table.at, table.section, "must not be a table");
    // Below a section that is unknown itself everything is; it is said once.
    if (!parent.empty() && !is_section(parent)) return;
    std::vector<std::string> known;
    for (const Key& key : all_keys())
      if (!key.section.empty() && (known.empty() || known.back() != key.section))
        known.emplace_back(key.section);
    report_.add(table.at, table.section, "unknown table" + suggestion(table.section, known));
  }

  void apply_entry(const Document::Entry& entry, std::string_view upstream, Draft::Settings& settings) {
    const Key* key = find_key(entry.section, entry.name);
    std::string name = entry.section + (upstream.empty() ? "" : "." + std::string(upstream));
    name += (name.empty() ? "" : ".") + entry.name;
    if (key == nullptr) return report_.add(entry.key_at, name, unknown_key(entry.section, entry.name));
    give(settings, *key, name, entry.value, entry.value_at, report_);
  }

  void apply_upstream(const Document::ListedTable& table) {
    const Document::Entry* name = nullptr;
    for (const Document::Entry& entry : table.entries)
      if (entry.section == "upstream" && entry.name == "name") name = &entry;
    Draft::Upstream nameless;  // its keys are checked all the same
    Draft::Upstream& upstream = name_upstream(table, name, nameless);
    for (const Document::Entry& entry : table.entries)
      if (&entry != name && entry.section == "upstream") apply_entry(entry, upstream.name, upstream.settings);
  }

  Draft::Upstream& name_upstream(const Document::ListedTable& table, const Document::Entry* entry,
                                 Draft::Upstream& nameless) {
    if (entry == nullptr) {
      // Of a broken file the name may be what could not be read.
      if (is_whole_) report_.add(table.at, "upstream.name", "missing: every [[upstream]] needs a name");
      return nameless;
    }
    Checked name = entry->value ? check_value(key_of("upstream", "name"), *entry->value) : entry->value;
    if (!name) {
      report_.add(entry->value_at, "upstream.name", name.error());
      return nameless;
    }
    const std::string& text = std::get<std::string>(*name);
    Draft::Upstream* known = draft_.find(text);
    if (known == nullptr) return draft_.add(text, entry->value_at);
    if (known->is_named) {
      report_.add(
          entry->value_at, "upstream." + text + ".name",
          fmt::format("a second [[upstream]] of this name; the first is in line {}", known->origin.line));
      nameless.name = text;
      return nameless;
    }
    known->is_named = true;
    known->origin = entry->value_at;
    return *known;
  }

  Draft& draft_;
  Report& report_;
  bool is_whole_ = true;
};

}  // namespace

bool apply_file(Draft& draft, const std::string& path, Report& report) {
  tl::expected<std::string, std::string> text = read_file(path);
  if (!text) {
    report.add({path, 0, 0}, "", std::move(text).error());
    return false;
  }
  Document document = parse_document(*text, path, report);
  FileSource(draft, report).apply(document);
  return document.is_whole;
}

}  // namespace entrepot::config
