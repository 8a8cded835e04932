// The program: reads the command line and the configuration, and runs the verb.

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>

#include <cstdio>
#include <string>
#include <vector>

#include "proxy/cli/cli.h"
#include "proxy/config/config.h"
#include "proxy/daemon/daemon.h"
#include "proxy/daemon/versions.h"

namespace entrepot {
namespace {

void print(std::FILE* stream, const std::string& text) { std::fwrite(text.data(), 1, text.size(), stream); }

void print_errors(const std::vector<config::ConfigError>& errors, bool wants_json) {
  if (wants_json) {
    print(stdout, config::to_json(errors) + "\n");
    return;
  }
  for (const config::ConfigError& error : errors) print(stderr, "entrepot: " + config::to_text(error) + "\n");
}

// Buffers of some hundred KiB come and go with every piece of a fill. By default each would be a mapping of
// its own: a system call, its pages faulted in anew, and a lock on the address space for which an event loop
// would sleep.
void keep_buffers_on_the_heap() {
  constexpr int kLargest = 32 * 1024 * 1024;
  mallopt(M_MMAP_THRESHOLD, kLargest);
  mallopt(M_TRIM_THRESHOLD, kLargest);
}

// Reads the program's code into memory now: a loop that meets a page of it for the first time would wait for
// the disk.
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

int run(const std::vector<std::string>& arguments) {
  keep_buffers_on_the_heap();
  cli::Parsed parsed = cli::parse(arguments, daemon::versions());
  if (!parsed.command) {
    print(parsed.answer.is_error ? stderr : stdout, parsed.answer.text);
    return parsed.answer.exit_code;
  }
  const cli::Command& command = *parsed.command;
  auto loaded = config::load(config::process_inputs(command.config_file, command.sets));
  if (!loaded) {
    print_errors(loaded.error(), command.wants_json);
    return cli::kFailed;
  }
  switch (command.verb) {
    case cli::Verb::check_config:
      print(stdout, command.wants_json ? config::to_json(*loaded) + "\n" : config::to_toml(*loaded));
      return cli::kSuccess;
    case cli::Verb::serve:
      read_in_code();
      break;
  }
  Status served = daemon::serve(*loaded);
  if (served) return cli::kSuccess;
  print(stderr, "entrepot: " + served.error().message + "\n");
  return cli::kFailed;
}

}  // namespace
}  // namespace entrepot

int main(int argc, char** argv) { return entrepot::run(std::vector<std::string>(argv + 1, argv + argc)); }
