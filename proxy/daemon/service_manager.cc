#include "proxy/daemon/service_manager.h"

#include <fcntl.h>
#include <systemd/sd-daemon.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace entrepot::daemon {

std::vector<InheritedSocket> inherited_sockets() {
  std::vector<InheritedSocket> sockets;
  char** names = nullptr;
  int count = sd_listen_fds_with_names(/*unset_environment=*/1, &names);
  for (int i = 0; i < count; ++i) {
    int fd = SD_LISTEN_FDS_START + i;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    sockets.push_back({UniqueFd(fd), names != nullptr ? names[i] : ""});
    if (names != nullptr) free(names[i]);
  }
  free(names);
  return sockets;
}

void notify_ready(const std::string& status) { sd_notify(0, ("READY=1\nSTATUS=" + status).c_str()); }

// systemd.service(5), Type=notify-reload, wants to know when it began.
void notify_reloading() {
  struct timespec now {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t microseconds =
      static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
  sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds)).c_str());
}

void notify_stopping() { sd_notify(0, "STOPPING=1\nSTATUS=draining"); }

}  // namespace entrepot::daemon
