#pragma once

#include <string>

namespace entrepot::http {

/// Name and version of the library under the parser, for `--version`.
std::string library_version();

}  // namespace entrepot::http
