#pragma once

#include <string>

namespace entrepot::cache {

/// Name and version of the library under the index, for `--version`.
std::string library_version();

}  // namespace entrepot::cache
