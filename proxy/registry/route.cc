#include "proxy/registry/route.h"

#include "base/reference.h"

namespace entrepot::registry {
namespace {

constexpr std::string_view kPrefix = "/v2/";

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

struct Endpoint {
  std::string_view marker;
  Route::Kind kind;
};
constexpr Endpoint kEndpoints[] = {
    {"manifests", Route::Kind::manifest},
    {"blobs", Route::Kind::blob},
    {"referrers", Route::Kind::referrers},
};

// "<name>/<marker>/<reference>" with the marker as the last component but one.
Result<Route> read_object(std::string_view rest) {
  size_t last = rest.rfind('/');
  if (last == std::string_view::npos) return fail(Errc::not_found, "there is nothing at this path");
  size_t before = rest.rfind('/', last == 0 ? 0 : last - 1);
  std::string_view marker = before == std::string_view::npos || before == last
                                ? rest.substr(0, last)
                                : rest.substr(before + 1, last - before - 1);
  std::string_view reference = rest.substr(last + 1);
  std::string_view name =
      before == std::string_view::npos || before == last ? std::string_view() : rest.substr(0, before);
  if (marker == "tags" && reference == "list") return Route{Route::Kind::tags, std::string(name), {}};
  for (const Endpoint& endpoint : kEndpoints)
    if (marker == endpoint.marker && !reference.empty())
      return Route{endpoint.kind, std::string(name), std::string(reference)};
  return fail(Errc::not_found, "there is nothing at this path");
}

// "127.0.0.1:80/a", "Evil.Test/a": no repository's name, and not to be mistaken for one.
bool names_a_host(std::string_view name) {
  size_t slash = name.find('/');
  return slash != std::string_view::npos && slash > 0 &&
         name.substr(0, slash).find_first_of(".:") != std::string_view::npos &&
         name.find("..") == std::string_view::npos;
}

}  // namespace

Result<std::string> percent_decode(std::string_view text) {
  auto may_stand = [](int byte) { return byte != '/' && byte != '%' && byte >= 0x20 && byte < 0x7f; };
  return percent_decode(text, may_stand);
}

Result<std::string> percent_decode(std::string_view text, bool (*may_stand)(int byte)) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    int high = i + 2 < text.size() ? nibble(text[i + 1]) : -1;
    int low = i + 2 < text.size() ? nibble(text[i + 2]) : -1;
    if (high < 0 || low < 0) return fail(Errc::bad_request, "a broken percent-encoding");
    int byte = high << 4 | low;
    if (!may_stand(byte)) return fail(Errc::bad_request, "a percent-encoding that is not allowed here");
    decoded += static_cast<char>(byte);
    i += 2;
  }
  return decoded;
}

Result<Route> read_route(std::string_view path) {
  if (path == "/v2/" || path == "/v2") return Route{Route::Kind::ping, {}, {}};
  bool names_upstream = !path.starts_with(kPrefix);
  std::string_view rest = path.substr(names_upstream ? 1 : kPrefix.size());
  std::string registry;
  if (names_upstream) {
    size_t slash = rest.find('/');
    if (slash == std::string_view::npos || slash == 0)
      return fail(Errc::not_found, "there is nothing at this path");
    registry = std::string(rest.substr(0, slash + 1));
    rest.remove_prefix(slash + 1);
    if (rest == "v2/" || rest == "v2") return Route{Route::Kind::ping, registry + "ping", {}, true};
    if (rest.starts_with(kPrefix.substr(1))) rest.remove_prefix(kPrefix.size() - 1);
  }
  ENTREPOT_TRY_ASSIGN(std::string decoded, percent_decode(registry + std::string(rest)));
  ENTREPOT_TRY_ASSIGN(Route route, read_object(decoded));
  route.names_upstream = names_upstream;
  if (!is_repository_name(route.name) && names_a_host(route.name))
    return fail(Errc::name_unknown, "registry " + route.name.substr(0, route.name.find('/')).substr(0, 255) +
                                        " is not configured here");
  if (!is_repository_name(route.name))
    return fail(Errc::name_invalid, "invalid repository name: " + route.name.substr(0, 256));
  return route;
}

}  // namespace entrepot::registry
