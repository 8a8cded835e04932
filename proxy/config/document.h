#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/report.h"
#include "proxy/config/value.h"

namespace entrepot::config {

/// A TOML text, flattened. It knows TOML and no keys. `document.cc` is the only file that sees toml++.
struct Document {
  struct Entry {
    std::string section;  // "" at the top; "upstream" in every table of [[upstream]]
    std::string name;
    Checked value;  // without a value: a TOML type that no key has ("must not be a date")
    Origin key_at;
    Origin value_at;
  };
  struct Table {
    std::string section;
    Origin at;
  };
  struct ListedTable {
    Origin at;
    std::vector<Entry> entries;
  };
  std::vector<Entry> entries;
  std::vector<Table> tables;           // every [table], empty ones too; nested ones with dots
  std::vector<ListedTable> upstreams;  // [[upstream]], in order
  bool is_whole = true;                // false: there were syntax errors, and what they hit is not here
};

/// Parses all that can be parsed: what breaks the syntax is reported and left out, and the rest read on;
/// nothing is when that happens too often.
Document parse_document(std::string_view text, const std::string& source, Report& report);

/// A list of strings as TOML writes it: ["a", "b"].
Checked parse_list(std::string_view text);

}  // namespace entrepot::config
