#include "proxy/http/access_log.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace entrepot::http {
namespace {

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::complete:
      return "complete";
    case Outcome::aborted:
      return "aborted";
    case Outcome::client_left:
      return "client-left";
  }
  return "";
}

std::string_view user_agent_of(const Request& request) {
  constexpr size_t kLongest = 256;
  const std::string* field = request.header("user-agent");
  return field == nullptr ? std::string_view() : std::string_view(*field).substr(0, kLongest);
}

}  // namespace

void write_access_line(Logger& logger, const Request& request, const AccessNote& note,
                       const AccessRecord& record) {
  if (!logger.is_on(LogLevel::info)) return;
  std::array<char, 16> id;
  auto end = fmt::format_to_n(id.data(), id.size(), "{:x}", request.id).out;
  const std::array<LogField, 14> fields = {{
      {"client", std::string_view(request.peer)},
      {"method", std::string_view(request.method_name)},
      {"target", request.path},
      {"user_agent", user_agent_of(request)},
      {"upstream", std::string_view(note.upstream)},
      {"repository", std::string_view(note.repository)},
      {"reference", std::string_view(note.reference)},
      {"cache_status", std::string_view(note.cache_status)},
      {"status", int64_t{record.status}},
      {"bytes", static_cast<int64_t>(record.bytes)},
      {"ms", static_cast<int64_t>(record.duration.count())},
      {"upstream_ms", note.upstream_milliseconds},
      {"outcome", name_of(record.outcome)},
      {"request", std::string_view(id.data(), static_cast<size_t>(end - id.data()))},
  }};
  logger.write(LogLevel::info, "answered", fields);
}

}  // namespace entrepot::http
