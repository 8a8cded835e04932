#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace entrepot::daemon {

/// A listening socket that systemd passed (sd_listen_fds), with its FileDescriptorName.
struct InheritedSocket {
  UniqueFd fd;
  std::string name;
};
std::vector<InheritedSocket> inherited_sockets();

/// Tells systemd (sd_notify) how we are; does nothing when nobody listens.
void notify_ready(const std::string& status);
/// Until the next notify_ready.
void notify_reloading();
void notify_stopping();

}  // namespace entrepot::daemon
