#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "upstream/aws/credentials.h"

namespace entrepot::upstream::aws {

/// The settings of one profile, names in lower case. Any may be a secret.
using Profile = std::map<std::string, Secret, std::less<>>;
using Profiles = std::map<std::string, Profile, std::less<>>;

/// The sections of an AWS configuration file (AWS SDKs and Tools Reference Guide, "Format of the shared
/// config and credentials files"). `is_config`: profiles are "[profile x]" and "[default]"; else "[x]".
/// Sections of another kind, and what is indented below a setting, are left out; so is what is no setting.
Profiles parse_profiles(std::string_view text, bool is_config);

/// All profiles of AWS_CONFIG_FILE (~/.aws/config) and AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials): what
/// both set is the latter's. BLOCKING. A file that is not there is an empty one; io_error for one that can't
/// be read.
Result<Profiles> read_profiles(const Environment& environment);

}  // namespace entrepot::upstream::aws
