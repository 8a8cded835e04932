#include "proxy/daemon/versions.h"

#include "base/loop/event_loop.h"
#include "cache/version.h"
#include "proxy/http/version.h"
#include "upstream/version.h"

namespace entrepot::daemon {

std::string versions() {
  std::string text = ENTREPOT_VERSION;
  for (const std::string& library : {EventLoop::library_version(), http::library_version(),
                                     upstream::library_version(), cache::library_version()})
    text += "\n" + library;
  return text;
}

}  // namespace entrepot::daemon
