// Queries: `ns`, and what pages a listing. What is understood is bounded and is read as the same from our own
// writing of it; what means nothing changes nothing.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.h"
#include "proxy/registry/query.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using entrepot::Errc;
using entrepot::Result;
using entrepot::registry::PageQuery;
using entrepot::registry::percent_encode;

constexpr size_t kMaxValue = 1024;

void check_same(const PageQuery& a, const PageQuery& b) {
  CHECK(a.n == b.n && a.last == b.last && a.next_page == b.next_page && a.artifact_type == b.artifact_type);
}

void check_error(const entrepot::Error& error) {
  CHECK(error.code == Errc::bad_request && !error.message.empty());
}

bool can_be_read(std::string_view value) { return percent_encode(value).size() <= kMaxValue; }

void check_page(std::string_view query) {
  Result<PageQuery> page = entrepot::registry::read_page_query(query);
  if (!page) return check_error(page.error());
  CHECK(!page->n || (*page->n >= 0 && *page->n <= 1000));
  for (const std::string* value : {&page->last, &page->next_page, &page->artifact_type})
    CHECK(value->size() <= kMaxValue);

  std::string text = page->text();
  for (char c : text) CHECK(c > ' ' && c < 0x7f && c != '#' && c != '?' && c != '/');
  if (!can_be_read(page->last) || !can_be_read(page->next_page) || !can_be_read(page->artifact_type)) return;
  std::string ours = "cb=%&" + text + "&artifactType=" + percent_encode(page->artifact_type) + "&digest=x";
  Result<PageQuery> again = entrepot::registry::read_page_query(ours);
  CHECK(again.has_value());
  check_same(*again, *page);
  CHECK(again->text() == text);
}

void check_ns(std::string_view query) {
  Result<std::optional<std::string>> ns = entrepot::registry::read_ns(query);
  if (!ns) return check_error(ns.error());
  std::string with = std::string(query) + "&ns=docker.io";
  Result<std::optional<std::string>> second = entrepot::registry::read_ns(with);
  if (!*ns) {
    CHECK(second && *second == "docker.io");
    return;
  }
  CHECK(!(*ns)->empty() && (*ns)->size() <= 255);
  CHECK(!second && second.error().code == Errc::bad_request);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  entrepot::fuzz::Exact query(entrepot::fuzz::Input(data, size).rest());
  check_page(query.view());
  check_ns(query.view());
  return 0;
}
