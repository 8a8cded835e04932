#include "cache/lock_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <optional>
#include <thread>

#include "cache/files.h"

namespace entrepot::cache {
namespace {

constexpr std::string_view kFormatPrefix = "entrepot cache format ";
constexpr uint64_t kFormatFileLimit = 64;
// Whoever was killed a moment ago may have had a child, which is about to go, too.
constexpr std::chrono::milliseconds kDying{500};
constexpr std::chrono::milliseconds kBetweenTries{5};

std::optional<unsigned> parse_format(std::string_view text) {
  if (!text.starts_with(kFormatPrefix)) return std::nullopt;
  text.remove_prefix(kFormatPrefix.size());
  unsigned version = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc{} || end != text.data() + text.size() - 1 || *end != '\n') return std::nullopt;
  return version;
}

Status write_format(int directory) {
  ENTREPOT_TRY_ASSIGN(UniqueFd file, open_file(directory, "FORMAT.new", O_WRONLY | O_CREAT | O_TRUNC));
  ENTREPOT_TRY(write_at(file.get(), fmt::format("{}{}\n", kFormatPrefix, kFormat), 0));
  ENTREPOT_TRY(sync_data(file.get(), "FORMAT"));
  if (::renameat(directory, "FORMAT.new", directory, "FORMAT") != 0)
    return fail(system_error("cannot write FORMAT", errno));
  return sync_directory(directory, "of the cache");
}

}  // namespace

Result<UniqueFd> take_lock(int directory, const std::string& shown) {
  ENTREPOT_TRY_ASSIGN(UniqueFd lock, open_file(directory, "LOCK", O_RDWR | O_CREAT));
  auto deadline = std::chrono::steady_clock::now() + kDying;
  int error = 0;
  do {
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
    error = errno;
    if (error == EWOULDBLOCK) std::this_thread::sleep_for(kBetweenTries);
  } while (error == EINTR || (error == EWOULDBLOCK && std::chrono::steady_clock::now() < deadline));
  if (error == EWOULDBLOCK)
    return fail(
        Errc::config_invalid,
        fmt::format("the cache directory {} is in use by another process (it holds {}/LOCK)", shown, shown));
  return fail(system_error(fmt::format("cannot lock {}/LOCK", shown), error));
}

Result<struct timespec> begin_run(int lock) {
  ENTREPOT_TRY_ASSIGN(struct timespec last, last_run(lock));
  if (::futimens(lock, nullptr) != 0) return fail(system_error("cannot set the time of LOCK", errno));
  return last;
}

Result<struct timespec> last_run(int lock) {
  struct stat status;
  if (::fstat(lock, &status) != 0) return fail(system_error("cannot look at LOCK", errno));
  return status.st_mtim;
}

Status check_format(int directory, const std::string& shown) {
  int fd = ::openat(directory, "FORMAT", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) return write_format(directory);
  if (fd < 0) return fail(system_error(fmt::format("cannot read {}/FORMAT", shown), errno));
  UniqueFd file(fd);
  ENTREPOT_TRY_ASSIGN(std::string text, read_file(file.get(), kFormatFileLimit));
  std::optional<unsigned> version = parse_format(text);
  if (!version)
    return fail(Errc::config_invalid, fmt::format("{}/FORMAT is not that of an entrepot cache", shown));
  if (*version > kFormat)
    return fail(
        Errc::config_invalid,
        fmt::format("the cache directory {} is of format {}, newer than format {} of this program: use the "
                    "newer program, or another directory",
                    shown, *version, kFormat));
  return {};
}

}  // namespace entrepot::cache
