#include "upstream/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/unique_fd.h"

namespace entrepot::upstream {

Result<Secret> read_small_file(const std::string& path, size_t limit) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (fd.get() < 0 || ::fstat(fd.get(), &status) != 0) return fail(system_error(path, errno));
  if (!S_ISREG(status.st_mode)) return fail(Errc::io_error, path + ": not a file");
  if (static_cast<size_t>(status.st_size) > limit)
    return fail(Errc::io_error, path + ": larger than " + std::to_string(limit) + " bytes");
  std::string text(static_cast<size_t>(status.st_size), '\0');
  ssize_t size = ::pread(fd.get(), text.data(), text.size(), 0);
  if (size < 0) return fail(system_error(path, errno));
  text.resize(static_cast<size_t>(size));
  return Secret(std::move(text));
}

}  // namespace entrepot::upstream
