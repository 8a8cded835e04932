#pragma once

#include <memory>
#include <span>

#include "upstream/client.h"

namespace entrepot::upstream {

/// A client that asks nobody: it has no connections, no look-ups and no credentials. Its registries have the
/// names and settings of the upstreams, except that what was said of a tag holds for ever, and each call
/// fails at once with `offline`. For cache.offline.
std::unique_ptr<Client> make_offline_client(std::span<const Settings> upstreams);

}  // namespace entrepot::upstream
