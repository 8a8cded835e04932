#include "cache/index_probe.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <thread>

#include "cache/lmdb_env.h"
#include "cache/rows.h"

namespace entrepot::cache {
namespace {

constexpr int kSound = 0;
constexpr int kDamaged = 3;
constexpr uint64_t kSmall = 32u << 20;
constexpr auto kLongest = std::chrono::minutes(1);
constexpr auto kLookEvery = std::chrono::milliseconds(1);

int look(const std::string& path, uint64_t map_size) {
  Result<std::unique_ptr<LmdbEnv>> env = LmdbEnv::open(path, map_size);
  if (!env) return kDamaged;
  Result<LmdbTxn> txn = (*env)->begin_read();
  if (!txn) return kDamaged;
  Result<std::optional<std::string>> unclean = txn->get(Table::meta, kUncleanKey);
  if (!unclean) return kDamaged;
  // What is read in a moment is read always.
  if (!*unclean && (*env)->disk_bytes() > kSmall) return kSound;
  return txn->walk_all() ? kSound : kDamaged;
}

// No core, no report of a sanitizer: that it dies is its answer.
[[noreturn]] void be_the_child(const std::string& path, uint64_t map_size) {
  // Nothing of ours, least of all the lock, which must go with our parent.
  ::close_range(STDERR_FILENO + 1, UINT_MAX, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  for (int deadly : {SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL}) signal(deadly, SIG_DFL);
  ::_exit(look(path, map_size));
}

}  // namespace

Result<std::string> probe_index(const std::string& path, uint64_t map_size) {
  pid_t child = ::fork();
  if (child < 0) return fail(system_error("cannot look at the index in a process of its own", errno));
  if (child == 0) be_the_child(path, map_size);
  auto deadline = std::chrono::steady_clock::now() + kLongest;
  int status = 0;
  while (true) {
    pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR)
      return fail(system_error("cannot wait for the look at the index", errno));
    if (std::chrono::steady_clock::now() >= deadline) {
      // So large an index on so slow a disk: nothing that was read was wrong.
      ::kill(child, SIGKILL);
      while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
      return std::string();
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kSound) return std::string();
  // Somebody else has killed it: that says nothing of the index.
  if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM))
    return std::string();
  return std::string(WIFSIGNALED(status) ? "whoever walks over its pages is killed"
                                         : "its pages are damaged");
}

}  // namespace entrepot::cache
