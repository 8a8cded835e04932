#include "upstream/credentials.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/disk/run_on_disk.h"
#include "base/unique_fd.h"
#include "upstream/base64.h"

namespace entrepot::upstream {
namespace {

constexpr off_t kMaxPasswordFile = 16 * 1024;

bool has_control_byte(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

// RFC 7617 allows no control bytes, but Google wants a service account's key file as it is, lines and all.
bool is_usable(const std::string& username, std::string_view password) {
  if (has_control_byte(username)) return false;
  if (username != "_json_key") return !has_control_byte(password);
  return password.find('\0') == std::string_view::npos;
}

}  // namespace

bool has_credential(const Settings& settings) {
  if (settings.access == Access::anonymous || settings.auth == Auth::anonymous) return false;
  return settings.auth == Auth::ecr || !settings.username.empty() || !settings.docker_config.empty();
}

Result<Secret> basic_authorization(const std::string& username, const Secret& password) {
  if (password.is_empty()) return fail(Errc::upstream_refused_credential, "the password is empty");
  if (!is_usable(username, password.reveal()))
    return fail(Errc::upstream_refused_credential, "a control byte in the user name or password");
  if (username.find(':') != std::string::npos)
    return fail(Errc::upstream_refused_credential, "a colon in the user name");
  std::string pair = username + ":";
  pair += password.reveal();
  Secret both(std::move(pair));
  return Secret("Basic " + encode_base64(both.reveal()));
}

Task<Result<Credential>> Credentials::credential(uint64_t) {
  if (settings_.password_file.empty()) {
    const char* value =
        settings_.password_env.empty() ? nullptr : std::getenv(settings_.password_env.c_str());
    if (value == nullptr) co_return fail(problem("no password is configured, or its variable is not set"));
    Secret password{std::string(value)};
    co_return basic_with(password);
  }
  auto work = [path = settings_.password_file, known = stamp_] { return read_file(path, known); };
  Result<Reading> reading = co_await run_on_disk(pool_, loop_, "read password file", std::move(work));
  if (!reading) co_return fail(problem(reading.error().message));
  if (!reading->is_unchanged) {
    password_ = std::move(reading->password);
    stamp_ = reading->stamp;
  }
  co_return basic_with(password_);
}

Result<Credentials::Reading> Credentials::read_file(const std::string& path, const Stamp& known) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (fd.get() < 0 || ::fstat(fd.get(), &status) != 0) return fail(system_error(path, errno));
  if (!S_ISREG(status.st_mode)) return fail(Errc::io_error, path + ": not a file");
  if (status.st_size > kMaxPasswordFile) return fail(Errc::io_error, path + ": larger than 16 KiB");
  Reading reading;
  reading.stamp = {status.st_dev, status.st_ino, status.st_size,
                   int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
  reading.is_unchanged = reading.stamp == known;
  if (reading.is_unchanged) return reading;
  std::string text(static_cast<size_t>(kMaxPasswordFile), '\0');
  ssize_t size = ::pread(fd.get(), text.data(), text.size(), 0);
  if (size < 0) return fail(system_error(path, errno));
  text.resize(static_cast<size_t>(size));
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  reading.password = Secret(std::move(text));
  return reading;
}

Result<Credential> Credentials::basic_with(const Secret& password) const {
  Result<Secret> authorization = basic_authorization(settings_.username, password);
  if (!authorization) return fail(problem(authorization.error().message));
  return Credential{std::move(*authorization)};
}

Error Credentials::problem(std::string_view cause) const {
  return Error{Errc::upstream_refused_credential,
               settings_.name + ": no usable credential: " + std::string(cause)};
}

}  // namespace entrepot::upstream
