#include <fmt/format.h>
#include <sys/statvfs.h>

#include <cerrno>

#include "proxy/config/config.h"

namespace entrepot::config {

Result<uint64_t> resolve_size(const SizeLimit& limit, const std::string& directory) {
  if (limit.percent == 0) return limit.bytes;
  std::string place = directory;
  struct statvfs system {};
  while (statvfs(place.empty() ? "/" : place.c_str(), &system) != 0) {
    if (errno != ENOENT || place.empty())
      return fail(
          system_error(fmt::format("cannot ask the file system of {} for its size", directory), errno));
    place.resize(place.find_last_of('/') == std::string::npos ? 0 : place.find_last_of('/'));
  }
  // Divided first: blocks times block size fits, times a hundred may not.
  uint64_t bytes = uint64_t{system.f_blocks} * system.f_frsize;
  return bytes / 100 * static_cast<uint64_t>(limit.percent);
}

}  // namespace entrepot::config
