// Paths of the data listener. A path that means an object has a name that can stand in a URL, a key and a
// file name, and the same route has one plain writing.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/reference.h"
#include "proxy/registry/query.h"
#include "proxy/registry/route.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using entrepot::Errc;
using entrepot::Result;
using entrepot::registry::percent_decode;
using entrepot::registry::read_route;
using entrepot::registry::Route;

std::string tail_of(const Route& route) {
  switch (route.kind) {
    case Route::Kind::manifest:
      return "/manifests/" + route.reference;
    case Route::Kind::blob:
      return "/blobs/" + route.reference;
    case Route::Kind::referrers:
      return "/referrers/" + route.reference;
    default:
      return "/tags/list";
  }
}

std::string written(const Route& route) {
  if (!route.names_upstream) return "/v2/" + route.name + tail_of(route);
  std::string text = "/" + route.name + tail_of(route);
  size_t slash = text.find('/', 1);
  return text.substr(0, slash) + "/v2" + text.substr(slash);
}

void check_same(const Route& a, const Route& b) {
  CHECK(a.kind == b.kind && a.name == b.name && a.reference == b.reference &&
        a.names_upstream == b.names_upstream);
}

void check_route(const Route& route) {
  CHECK(route.kind != Route::Kind::other);
  if (route.kind == Route::Kind::ping) return;
  CHECK(entrepot::is_repository_name(route.name));
  CHECK((route.kind == Route::Kind::tags) == route.reference.empty());
  CHECK(route.reference.find_first_of("/%") == std::string::npos);
  // No upstream is called v2 (the configuration refuses it): such a path leads nowhere, and has no other
  // writing.
  if (route.names_upstream && (route.name == "v2" || route.name.starts_with("v2/"))) return;
  Result<Route> again = read_route(written(route));
  CHECK(again.has_value());
  check_same(*again, route);
}

void check_decoding(std::string_view text) {
  auto any = [](int) { return true; };
  std::string encoded = entrepot::registry::percent_encode(text);
  for (char c : encoded)
    CHECK(c > ' ' && c < 0x7f && c != '/' && c != '&' && c != '=' && c != '#' && c != '?');
  CHECK(percent_decode(encoded, any) == std::string(text));
  Result<std::string> strict = percent_decode(text);
  Result<std::string> decoded = percent_decode(text, any);
  CHECK(!strict || (decoded && *decoded == *strict));
  CHECK(decoded || decoded.error().code == Errc::bad_request);
  // Nothing that must not stand in a path gets there by being encoded, not even twice.
  if (strict && text.find('%') != std::string_view::npos) CHECK(strict->find('%') == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  entrepot::fuzz::Exact text(entrepot::fuzz::Input(data, size).rest());
  check_decoding(text.view());
  if (!text.view().starts_with('/')) return 0;  // the request parser lets no other through
  Result<Route> route = read_route(text.view());
  if (route) {
    check_route(*route);
  } else {
    Errc code = route.error().code;
    CHECK(code == Errc::bad_request || code == Errc::not_found || code == Errc::name_invalid ||
          code == Errc::name_unknown);
    CHECK(!route.error().message.empty() && route.error().message.size() < 512);
  }
  return 0;
}
