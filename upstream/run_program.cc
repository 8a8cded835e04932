#include "upstream/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include "base/unique_fd.h"

namespace entrepot::upstream {
namespace {

constexpr size_t kMaxOutput = 1024 * 1024;
constexpr size_t kMaxInput = 4096;  // what a pipe takes at once, whoever reads
constexpr int kLookMs = 100;        // how soon a stop is seen

tl::unexpected<Error> failed(const ProgramRun& run, const std::string& cause) {
  return fail(Errc::upstream_refused_credential, run.command.front() + ": " + cause);
}

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;

  bool open() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
    return true;
  }
};

// In a process group of its own, so that its children end with it, and with the signals as a program expects
// them.
int spawn(const ProgramRun& run, const Pipe& input, const Pipe& output, pid_t& pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.read_end.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);  // libcurl's sockets are inherited
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t all;
  sigset_t none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  std::vector<char*> arguments;
  for (const std::string& argument : run.command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  int error = ::posix_spawnp(&pid, arguments.front(), &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

// Until it closes its output.
Result<Secret> read_all(const ProgramRun& run, int fd, const std::atomic<bool>& is_stopped) {
  auto end = std::chrono::steady_clock::now() + run.timeout;
  std::string output;
  std::array<char, 4096> buffer;
  while (true) {
    if (is_stopped) return fail(Errc::shutting_down, "shutting down");
    if (std::chrono::steady_clock::now() >= end) return failed(run, "it takes too long");
    pollfd look{fd, POLLIN, 0};
    if (::poll(&look, 1, kLookMs) <= 0) continue;
    ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    output.append(buffer.data(), static_cast<size_t>(count));
    if (output.size() > kMaxOutput) return failed(run, "it prints more than 1 MiB");
  }
  return Secret(std::move(output));
}

// It has closed its output and is about to end, or is to be ended.
std::optional<int> wait_for_end(pid_t pid, bool is_to_be_killed, Duration patience) {
  auto end = std::chrono::steady_clock::now() + patience;
  int status = 0;
  while (!is_to_be_killed && std::chrono::steady_clock::now() < end) {
    pid_t ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid) return status;
    if (ended < 0 && errno != EINTR)
      return std::nullopt;  // somebody else has waited for it: the pid is not ours
    ::poll(nullptr, 0, 1);
  }
  ::kill(-pid, SIGKILL);
  pid_t ended = 0;
  while ((ended = ::waitpid(pid, &status, 0)) < 0 && errno == EINTR) continue;
  return ended == pid ? std::optional(status) : std::nullopt;
}

}  // namespace

Result<Secret> run_program(const ProgramRun& run, const std::atomic<bool>& is_stopped) {
  Pipe input;
  Pipe output;
  if (run.input.size() > kMaxInput || !input.open() || !output.open())
    return failed(run, "no pipe: " + std::string(::strerror(errno)));
  ssize_t written = ::write(input.write_end.get(), run.input.data(), run.input.size());
  if (written != static_cast<ssize_t>(run.input.size())) return failed(run, "its input can't be written");
  pid_t pid = 0;
  int error = spawn(run, input, output, pid);
  if (error != 0) return failed(run, std::string("it does not start: ") + ::strerror(error));
  input = {};
  output.write_end.reset();
  Result<Secret> text = read_all(run, output.read_end.get(), is_stopped);
  std::optional<int> status = wait_for_end(pid, !text, std::chrono::seconds(1));
  if (!text) return text;
  if (!status) return failed(run, "how it ended is not known");
  if (!WIFEXITED(*status)) return failed(run, "it was killed");
  if (WEXITSTATUS(*status) != 0)
    return failed(run, "it ended with exit code " + std::to_string(WEXITSTATUS(*status)));
  return text;
}

}  // namespace entrepot::upstream
