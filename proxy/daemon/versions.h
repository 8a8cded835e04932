#pragma once

#include <string>

namespace entrepot::daemon {

/// What `--version` prints after "entrepot ": our version and that of every library that carries work of
/// ours.
std::string versions();

}  // namespace entrepot::daemon
