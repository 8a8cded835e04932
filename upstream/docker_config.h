#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "upstream/url.h"

namespace entrepot::upstream {

/// What a docker config.json says of one registry: its credential, or the helper that has it
/// (docker-credential-<name>).
struct DockerConfigEntry {
  std::string username = {};
  Secret password = {};
  Secret identity_token = {};  // in place of the two above (`docker login` leaves one where there is one)
  std::string program = {};    // "ecr-login"; then all above are empty
  std::string server = {};     // what the helper is asked for
};

/// The entry of the registry at `url` in the text of a config.json (docker/cli, cli/config/configfile): a
/// helper of `credHelpers`, else `credsStore`, else `auths`, as docker does it. Keys count by their host and
/// port, whatever scheme, `/v1/` or `/v2/` they have; Docker Hub has all of its names.
/// upstream_refused_credential, naming no content, for a text that is no such file, an entry that is missing
/// or holds something that is neither user name and password nor an identity token.
Result<DockerConfigEntry> find_in_docker_config(std::string_view text, const Url& url);

/// What a helper printed for `get` (docker-credential-helpers): a user name and a password, or, for the user
/// name `<token>`, an identity token. Errors alike.
Result<DockerConfigEntry> parse_program_answer(std::string_view text);

}  // namespace entrepot::upstream
