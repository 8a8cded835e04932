#pragma once

#include <string>

#include "base/result.h"
#include "upstream/url.h"

namespace entrepot::upstream::aws {

/// The URL of a service that is given a credential, or gives one, as a variable of the environment named it:
/// https, or plain http to this machine. `is_metadata`: also to the addresses at which a host gives its
/// containers theirs (ECS, EKS Pod Identity). upstream_refused_credential, naming the variable.
Result<Url> parse_service_url(const std::string& variable, const std::string& text, bool is_metadata);

}  // namespace entrepot::upstream::aws
