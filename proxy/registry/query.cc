#include "proxy/registry/query.h"

#include "proxy/registry/route.h"

namespace entrepot::registry {
namespace {

constexpr size_t kMaxNsLength = 255;

}  // namespace

Result<std::optional<std::string>> read_ns(std::string_view query) {
  std::optional<std::string> ns;
  while (!query.empty()) {
    size_t end = query.find('&');
    std::string_view part = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (!part.starts_with("ns=")) continue;
    part.remove_prefix(3);
    if (ns || part.empty() || part.size() > kMaxNsLength)
      return fail(Errc::bad_request, "a broken `ns` parameter");
    ENTREPOT_TRY_ASSIGN(std::string value, percent_decode(part));
    ns = std::move(value);
  }
  return ns;
}

}  // namespace entrepot::registry
