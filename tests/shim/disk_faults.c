// Preloaded into the program under test: what a disk may do, on command. Calls on files below one directory
// are matched against rules, which a test changes at any time; nothing else is touched.
// tests/integration/harness/disk_faults.py builds this and writes the rules; tests/shim/README.md says how
// they look.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { kRules = 64, kNumbers = 4096, kName = 256, kRulesFile = 16384 };
static const unsigned long kExt4Shutdown = 0x8004587d;

enum action { ACT_COUNT, ACT_ERRNO, ACT_DELAY, ACT_HOLD, ACT_SHORT, ACT_KILL, ACT_KILL_AFTER, ACT_CUT };

struct rule {
  unsigned number;
  char calls[kName], glob[kName];
  uint64_t first, last;  // which of the matching calls
  enum action action;
  long argument;
};

// Shared with the test: it raises `version` when the rules have changed, and reads the counts. The trace is
// written while `is_traced`, until `trace_room` lines are used up.
struct shared {
  _Atomic uint64_t version, is_traced, trace_room;
  struct {
    _Atomic uint64_t matched, happened;
  } counts[kNumbers];
};

struct call {
  const char* name;
  char path[2][kName];
  int paths;
  size_t most;  // bytes, for short ones
  bool kills;
};

static char root[PATH_MAX];
static size_t root_length;
static const char *rules_path, *trace_path;
static struct shared* shared;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[kRules];
static int rule_count;
static uint64_t known_version;

// ---- rules

static const struct {
  const char* name;
  int value;
} kErrors[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS},
               {"EMFILE", EMFILE}, {"EACCES", EACCES}, {"ENOMEM", ENOMEM}, {"EINTR", EINTR},
               {"EXDEV", EXDEV},   {"ESTALE", ESTALE}, {"EAGAIN", EAGAIN}};

static const struct {
  const char* name;
  enum action action;
} kActions[] = {
    {"count", ACT_COUNT}, {"errno", ACT_ERRNO}, {"delay", ACT_DELAY},           {"hold", ACT_HOLD},
    {"short", ACT_SHORT}, {"kill", ACT_KILL},   {"kill-after", ACT_KILL_AFTER}, {"cut", ACT_CUT}};

static void give_up(const char* why, const char* what) {
  dprintf(STDERR_FILENO, "disk_faults: %s: %s\n", why, what);
  abort();
}

static void parse_rule(const char* line) {
  struct rule* rule = &rules[rule_count];
  char action[32] = "", argument[32] = "";
  int fields = sscanf(line, "%u %255s %255s %lu-%lu %31s %31s", &rule->number, rule->calls, rule->glob,
                      &rule->first, &rule->last, action, argument);
  if (fields < 6 || rule->number >= kNumbers || rule_count == kRules - 1) give_up("not a rule", line);
  size_t i = 0;
  for (; i < sizeof kActions / sizeof *kActions && strcmp(kActions[i].name, action) != 0; ++i) {
  }
  if (i == sizeof kActions / sizeof *kActions) give_up("no such action", line);
  rule->action = kActions[i].action;
  rule->argument = atol(argument);
  for (i = 0; rule->action == ACT_ERRNO && i < sizeof kErrors / sizeof *kErrors; ++i)
    if (strcmp(kErrors[i].name, argument) == 0) rule->argument = kErrors[i].value;
  if (rule->action == ACT_ERRNO && rule->argument == 0) give_up("no such error", line);
  ++rule_count;
}

// REQUIRES: the mutex is held.
static void read_rules_if_changed(void) {
  uint64_t version = atomic_load(&shared->version);
  if (version == known_version) return;
  static char text[kRulesFile];
  int fd = (int)syscall(SYS_openat, AT_FDCWD, rules_path, O_RDONLY | O_CLOEXEC, 0);
  ssize_t size = fd < 0 ? -1 : syscall(SYS_read, fd, text, sizeof text - 1);
  if (size < 0) give_up("cannot read", rules_path);
  syscall(SYS_close, fd);
  text[size] = '\0';
  rule_count = 0;
  char* rest = NULL;
  for (char* line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
    parse_rule(line);
  known_version = version;
}

static bool names_call(const char* list, const char* name) {
  if (strcmp(list, "*") == 0) return true;
  size_t length = strlen(name);
  for (const char* at = list; (at = strstr(at, name)) != NULL; at += length)
    if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0')) return true;
  return false;
}

static bool matches(const struct rule* rule, const struct call* call) {
  if (!names_call(rule->calls, call->name)) return false;
  for (int i = 0; i < call->paths; ++i)
    if (fnmatch(rule->glob, call->path[i], 0) == 0) return true;
  return false;
}

// The first rule that applies now. Every rule that matches counts the call.
static bool find_rule(const struct call* call, struct rule* found) {
  bool has_found = false;
  pthread_mutex_lock(&mutex);
  read_rules_if_changed();
  for (int i = 0; i < rule_count; ++i) {
    if (!matches(&rules[i], call)) continue;
    uint64_t which = atomic_fetch_add(&shared->counts[rules[i].number].matched, 1) + 1;
    if (has_found || which < rules[i].first || which > rules[i].last) continue;
    atomic_fetch_add(&shared->counts[rules[i].number].happened, 1);
    *found = rules[i];
    has_found = true;
  }
  pthread_mutex_unlock(&mutex);
  return has_found;
}

// ---- what happens

static void wait_ms(long ms) {
  struct timespec left = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

_Noreturn static void die(void) {
  for (;;) {
    syscall(SYS_kill, getpid(), SIGKILL);
    wait_ms(1000);
  }
}

_Noreturn static void cut_power(long flag) {
  int fd = (int)syscall(SYS_openat, AT_FDCWD, root, O_RDONLY | O_DIRECTORY, 0);
  uint32_t how = (uint32_t)flag;
  if (fd < 0 || ioctl(fd, kExt4Shutdown, &how) != 0) give_up("cannot shut down the file system of", root);
  die();
}

static void hold(void) {
  uint64_t version = atomic_load(&shared->version);
  while (atomic_load(&shared->version) == version) wait_ms(5);
}

// True when the call has to fail, with errno set.
static bool must_fail(struct call* call) {
  struct rule rule = {0};
  if (call->paths == 0 || !find_rule(call, &rule)) return false;
  switch (rule.action) {
    case ACT_COUNT:
      break;
    case ACT_ERRNO:
      errno = (int)rule.argument;
      return true;
    case ACT_DELAY:
      wait_ms(rule.argument);
      break;
    case ACT_HOLD:
      hold();
      break;
    case ACT_SHORT:
      call->most = (size_t)rule.argument;
      break;
    case ACT_KILL:
      die();
    case ACT_KILL_AFTER:
      call->kills = true;
      break;
    case ACT_CUT:
      cut_power(rule.argument);
  }
  return false;
}

static bool take_trace_room(void) {
  uint64_t room = atomic_load(&shared->trace_room);
  while (room > 0)
    if (atomic_compare_exchange_weak(&shared->trace_room, &room, room - 1)) return true;
  return false;
}

static void trace(const struct call* call, long result, int error) {
  if (!atomic_load(&shared->is_traced) || !take_trace_room()) return;
  char line[2 * kName + 128];
  int size = snprintf(line, sizeof line, "%s\t%s%s%s\t%ld\n", call->name, call->path[0],
                      call->paths > 1 ? " -> " : "", call->paths > 1 ? call->path[1] : "",
                      result < 0 ? -(long)error : result);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, trace_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) give_up("cannot write", trace_path);
  syscall(SYS_write, fd, line, (size_t)size);
  syscall(SYS_close, fd);
}

static long ended(const struct call* call, long result) {
  if (call->paths == 0) return result;
  int error = errno;
  if (call->kills) die();
  trace(call, result, error);
  errno = error;
  return result;
}

static long failed(const struct call* call) { return ended(call, -1); }

static size_t shortened(const struct call* call, size_t size) {
  return size < call->most ? size : call->most;
}

// ---- which file

static void add_path(struct call* call, const char* absolute) {
  if (strncmp(absolute, root, root_length) != 0) return;
  const char* relative = absolute + root_length;
  if (*relative != '\0' && *relative != '/') return;
  snprintf(call->path[call->paths++], kName, "%s", *relative == '/' ? relative + 1 : ".");
}

static bool read_link(const char* link, char* path) {
  ssize_t size = readlink(link, path, PATH_MAX - 1);
  if (size < 0) return false;
  path[size] = '\0';
  char* removed = strstr(path, " (deleted)");
  if (removed != NULL) *removed = '\0';
  return true;
}

static void add_fd(struct call* call, int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  if (read_link(link, path)) add_path(call, path);
}

static void add_name(struct call* call, int directory, const char* name) {
  char link[64] = "/proc/self/cwd", path[PATH_MAX], whole[2 * PATH_MAX];
  if (name[0] == '/') {
    add_path(call, name);
    return;
  }
  if (directory != AT_FDCWD) snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
  if (!read_link(link, path)) return;
  snprintf(whole, sizeof whole, strcmp(name, ".") == 0 ? "%s" : "%s/%s", path, name);
  add_path(call, whole);
}

static struct call on_fd(const char* name, int fd) {
  int before = errno;
  struct call call = {.name = name, .most = SIZE_MAX};
  if (shared != NULL && fd >= 0) add_fd(&call, fd);
  errno = before;
  return call;
}

static struct call on_name(const char* name, int directory, const char* path) {
  int before = errno;
  struct call call = {.name = name, .most = SIZE_MAX};
  if (shared != NULL) add_name(&call, directory, path);
  errno = before;
  return call;
}

static struct call on_names(const char* name, int from_directory, const char* from, int to_directory,
                            const char* to) {
  struct call call = on_name(name, from_directory, from);
  if (shared != NULL) add_name(&call, to_directory, to);
  return call;
}

// A child of the program is another process: what it calls neither counts nor fails.
static void leave(void) { shared = NULL; }

__attribute__((constructor)) static void begin(void) {
  const char *directory = getenv("DISK_FAULTS_ROOT"), *shared_path = getenv("DISK_FAULTS_SHARED");
  rules_path = getenv("DISK_FAULTS_RULES");
  trace_path = getenv("DISK_FAULTS_TRACE");
  if (directory == NULL || shared_path == NULL || rules_path == NULL || trace_path == NULL) return;
  root_length = (size_t)snprintf(root, sizeof root, "%s", directory);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, shared_path, O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) give_up("cannot open", shared_path);
  void* map = (void*)syscall(SYS_mmap, NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  syscall(SYS_close, fd);
  if (map == MAP_FAILED) give_up("cannot map", shared_path);
  shared = map;
  pthread_atfork(NULL, NULL, leave);
}

// ---- the calls: open

static int open_at(int directory, const char* path, int flags, mode_t mode) {
  bool is_new = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  struct call call = on_name(is_new ? "create" : "open", directory, path);
  if (must_fail(&call)) return (int)failed(&call);
  return (int)ended(&call, syscall(SYS_openat, directory, path, flags, mode));
}

static mode_t mode_in(int flags, va_list rest) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name)                               \
  int name(const char* path, int flags, ...) {   \
    va_list rest;                                \
    va_start(rest, flags);                       \
    mode_t mode = mode_in(flags, rest);          \
    va_end(rest);                                \
    return open_at(AT_FDCWD, path, flags, mode); \
  }
#define OPENAT(name)                                          \
  int name(int directory, const char* path, int flags, ...) { \
    va_list rest;                                             \
    va_start(rest, flags);                                    \
    mode_t mode = mode_in(flags, rest);                       \
    va_end(rest);                                             \
    return open_at(directory, path, flags, mode);             \
  }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

// What glibc's headers make of calls without a mode, when they check them.
int __open_2(const char* path, int flags);
int __open_2(const char* path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __open64_2(const char* path, int flags);
int __open64_2(const char* path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __openat_2(int directory, const char* path, int flags);
int __openat_2(int directory, const char* path, int flags) { return open_at(directory, path, flags, 0); }
int __openat64_2(int directory, const char* path, int flags);
int __openat64_2(int directory, const char* path, int flags) { return open_at(directory, path, flags, 0); }

int creat(const char* path, mode_t mode) {
  return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char* path, mode_t mode) { return creat(path, mode); }

// ---- the calls: bytes

ssize_t write(int fd, const void* data, size_t size) {
  struct call call = on_fd("write", fd);
  if (must_fail(&call)) return failed(&call);
  return ended(&call, syscall(SYS_write, fd, data, shortened(&call, size)));
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  struct call call = on_fd("write", fd);
  if (must_fail(&call)) return failed(&call);
  return ended(&call, syscall(SYS_pwrite64, fd, data, shortened(&call, size), at));
}
ssize_t pwrite64(int fd, const void* data, size_t size, off_t at) { return pwrite(fd, data, size, at); }

ssize_t read(int fd, void* into, size_t size) {
  struct call call = on_fd("read", fd);
  if (must_fail(&call)) return failed(&call);
  return ended(&call, syscall(SYS_read, fd, into, shortened(&call, size)));
}

ssize_t pread(int fd, void* into, size_t size, off_t at) {
  struct call call = on_fd("read", fd);
  if (must_fail(&call)) return failed(&call);
  return ended(&call, syscall(SYS_pread64, fd, into, shortened(&call, size), at));
}
ssize_t pread64(int fd, void* into, size_t size, off_t at) { return pread(fd, into, size, at); }

ssize_t __read_chk(int fd, void* into, size_t size, size_t room);
ssize_t __read_chk(int fd, void* into, size_t size, size_t room) {
  if (size > room) abort();
  return read(fd, into, size);
}
ssize_t __pread_chk(int fd, void* into, size_t size, off_t at, size_t room);
ssize_t __pread_chk(int fd, void* into, size_t size, off_t at, size_t room) {
  if (size > room) abort();
  return pread(fd, into, size, at);
}
ssize_t __pread64_chk(int fd, void* into, size_t size, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void* into, size_t size, off_t at, size_t room) {
  return __pread_chk(fd, into, size, at, room);
}

// A short one of several buffers is the beginning of the first.
static long vector(const char* name, long number, int fd, const struct iovec* parts, int count, off_t at,
                   int flags) {
  struct call call = on_fd(name, fd);
  if (must_fail(&call)) return failed(&call);
  struct iovec first = {0};
  if (call.most != SIZE_MAX && count > 0) {
    first = (struct iovec){parts[0].iov_base, shortened(&call, parts[0].iov_len)};
    parts = &first;
    count = 1;
  }
  return ended(&call, syscall(number, fd, parts, count, at, 0L, flags));
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  return vector("write", SYS_writev, fd, parts, count, 0, 0);
}
ssize_t readv(int fd, const struct iovec* parts, int count) {
  return vector("read", SYS_readv, fd, parts, count, 0, 0);
}
ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t at) {
  return vector("write", SYS_pwritev, fd, parts, count, at, 0);
}
ssize_t preadv(int fd, const struct iovec* parts, int count, off_t at) {
  return vector("read", SYS_preadv, fd, parts, count, at, 0);
}
ssize_t pwritev2(int fd, const struct iovec* parts, int count, off_t at, int flags) {
  return vector("write", SYS_pwritev2, fd, parts, count, at, flags);
}
ssize_t preadv2(int fd, const struct iovec* parts, int count, off_t at, int flags) {
  return vector((flags & RWF_NOWAIT) != 0 ? "probe" : "read", SYS_preadv2, fd, parts, count, at, flags);
}
ssize_t pwritev64(int fd, const struct iovec* parts, int count, off_t at) {
  return pwritev(fd, parts, count, at);
}
ssize_t preadv64(int fd, const struct iovec* parts, int count, off_t at) {
  return preadv(fd, parts, count, at);
}
ssize_t pwritev64v2(int fd, const struct iovec* parts, int count, off_t at, int flags) {
  return pwritev2(fd, parts, count, at, flags);
}
ssize_t preadv64v2(int fd, const struct iovec* parts, int count, off_t at, int flags) {
  return preadv2(fd, parts, count, at, flags);
}

ssize_t sendfile(int to, int from, off_t* at, size_t size) {
  struct call call = on_fd("sendfile", from);
  if (must_fail(&call)) return failed(&call);
  return ended(&call, syscall(SYS_sendfile, to, from, at, shortened(&call, size)));
}
ssize_t sendfile64(int to, int from, off_t* at, size_t size) { return sendfile(to, from, at, size); }

// ---- the calls: to the disk, sizes, maps

int fsync(int fd) {
  struct call call = on_fd("fsync", fd);
  if (must_fail(&call)) return (int)failed(&call);
  return (int)ended(&call, syscall(SYS_fsync, fd));
}

int fdatasync(int fd) {
  struct call call = on_fd("fdatasync", fd);
  if (must_fail(&call)) return (int)failed(&call);
  return (int)ended(&call, syscall(SYS_fdatasync, fd));
}

int sync_file_range(int fd, off_t at, off_t size, unsigned flags) {
  struct call call = on_fd("sync_file_range", fd);
  if (must_fail(&call)) return (int)failed(&call);
  return (int)ended(&call, syscall(SYS_sync_file_range, fd, at, size, flags));
}

int ftruncate(int fd, off_t size) {
  struct call call = on_fd("ftruncate", fd);
  if (must_fail(&call)) return (int)failed(&call);
  return (int)ended(&call, syscall(SYS_ftruncate, fd, size));
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int fallocate(int fd, int mode, off_t at, off_t size) {
  struct call call = on_fd("fallocate", fd);
  if (must_fail(&call)) return (int)failed(&call);
  return (int)ended(&call, syscall(SYS_fallocate, fd, mode, at, size));
}
int fallocate64(int fd, int mode, off_t at, off_t size) { return fallocate(fd, mode, at, size); }
int posix_fallocate(int fd, off_t at, off_t size) { return fallocate(fd, 0, at, size) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off_t at, off_t size) { return posix_fallocate(fd, at, size); }

void* mmap(void* where, size_t size, int protection, int flags, int fd, off_t at) {
  struct call call = on_fd("mmap", fd);
  if (must_fail(&call)) return (void*)failed(&call);
  long result = syscall(SYS_mmap, where, size, protection, flags, fd, at);
  (void)ended(&call, result == -1 ? -1 : 0);
  return (void*)result;
}
void* mmap64(void* where, size_t size, int protection, int flags, int fd, off_t at) {
  return mmap(where, size, protection, flags, fd, at);
}

// Of whatever is mapped: the path of a map is not looked up, so rules name it by call alone.
int msync(void* at, size_t size, int flags) {
  struct call call = {.name = "msync", .most = SIZE_MAX};
  if (shared != NULL) add_path(&call, root);
  if (must_fail(&call)) return (int)failed(&call);
  return (int)ended(&call, syscall(SYS_msync, at, size, flags));
}

// ---- the calls: names

int linkat(int from_directory, const char* from, int to_directory, const char* to, int flags) {
  struct call call = on_names("link", from_directory, from, to_directory, to);
  if (must_fail(&call)) return (int)failed(&call);
  return (int)ended(&call, syscall(SYS_linkat, from_directory, from, to_directory, to, flags));
}
int link(const char* from, const char* to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int renameat2(int from_directory, const char* from, int to_directory, const char* to, unsigned flags) {
  struct call call = on_names("rename", from_directory, from, to_directory, to);
  if (must_fail(&call)) return (int)failed(&call);
  return (int)ended(&call, syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
}
int renameat(int from_directory, const char* from, int to_directory, const char* to) {
  return renameat2(from_directory, from, to_directory, to, 0);
}
int rename(const char* from, const char* to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int directory, const char* path, int flags) {
  struct call call = on_name("unlink", directory, path);
  if (must_fail(&call)) return (int)failed(&call);
  return (int)ended(&call, syscall(SYS_unlinkat, directory, path, flags));
}
int unlink(const char* path) { return unlinkat(AT_FDCWD, path, 0); }

int mkdirat(int directory, const char* path, mode_t mode) {
  struct call call = on_name("mkdir", directory, path);
  if (must_fail(&call)) return (int)failed(&call);
  return (int)ended(&call, syscall(SYS_mkdirat, directory, path, mode));
}
int mkdir(const char* path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

// ---- LMDB's map: as small as a test says, whatever the program asks for

int mdb_env_set_mapsize(void* environment, size_t size);
int mdb_env_set_mapsize(void* environment, size_t size) {
  int (*next)(void*, size_t) = NULL;
  *(void**)&next = dlsym(RTLD_NEXT, "mdb_env_set_mapsize");
  const char* wanted = getenv("DISK_FAULTS_MAP_SIZE");
  return next(environment, wanted != NULL ? strtoul(wanted, NULL, 10) : size);
}
