#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace entrepot {

Error system_error(std::string what, int errno_value) {
  char buffer[128];
  const char* text = strerror_r(errno_value, buffer, sizeof buffer);
  Errc code = errno_value == ENOSPC || errno_value == EDQUOT ? Errc::disk_full : Errc::io_error;
  return Error{code, std::move(what) + ": " + text};
}

}  // namespace entrepot
