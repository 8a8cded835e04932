#include "proxy/daemon/process_setup.h"

#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "base/unique_fd.h"

namespace entrepot::daemon {
namespace {

// 16,384 clients, each with a socket and a blob, and room for parts and transfers. The table takes half a MiB
// of the kernel's memory.
constexpr rlim_t kDescriptors = 65'536;

// A loop that meets a page of the program for the first time would wait for the disk.
void read_in_code() {
  auto populate = [](dl_phdr_info* object, size_t, void*) {
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = object->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
      constexpr uintptr_t kPage = 4096;
      uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) & ~(kPage - 1);
      uintptr_t end = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
      madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ);
    }
    return 0;
  };
  dl_iterate_phdr(populate, nullptr);
}

// The kernel doubles the table of descriptors when it is full, at the 65th, 129th, 257th, … In a process with
// threads it then waits until every processor has been through its scheduler (synchronize_rcu), 10 to 20 ms
// in which the loop that accepts stands still. Without threads it doesn't wait, and the table never shrinks.
void grow_descriptor_table() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  rlim_t wanted = std::min(limit.rlim_max, kDescriptors);
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = wanted;
    setrlimit(RLIMIT_NOFILE, &limit);  // where it is forbidden, the limit stays what it is
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  int last = static_cast<int>(std::min(limit.rlim_cur, kDescriptors)) - 1;
  UniqueFd some(open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd highest(fcntl(some.get(), F_DUPFD_CLOEXEC, last));
}

}  // namespace

void keep_buffers_on_the_heap() {
  constexpr int kLargestOnHeap = 1024 * 1024;
  constexpr int kLargestTop = 32 * 1024 * 1024;
  mallopt(M_MMAP_THRESHOLD, kLargestOnHeap);
  mallopt(M_TRIM_THRESHOLD, kLargestTop);
}

void prepare_to_serve() {
  read_in_code();
  grow_descriptor_table();
}

void warm_heap(size_t loops) {
  constexpr size_t kOfAllLoops = 2u << 20;
  constexpr size_t kPage = 4096;
  std::unique_ptr<char[]> some(new char[kOfAllLoops / loops]);
  for (size_t at = 0; at < kOfAllLoops / loops; at += kPage) {
    volatile char* page = some.get() + at;
    *page = 0;
  }
}

}  // namespace entrepot::daemon
