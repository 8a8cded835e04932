#pragma once

#include <string>

namespace entrepot::upstream {

/// Name and version of the library under the transport, for `--version`.
std::string library_version();

}  // namespace entrepot::upstream
