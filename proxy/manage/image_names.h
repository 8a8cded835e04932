#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/result.h"
#include "cache/images.h"
#include "upstream/settings.h"

namespace entrepot::manage {

/// Which images a text means, as people write it:
///
///     nginx:1.27                        that tag of docker.io/library/nginx, where docker.io is the default
///     quay.io/team/app                  all of that repository
///     quay.io/team/app@sha256:…         that manifest of it
///     quay.io/team/*:1.*                a glob, of repositories and of tags
///     quay.io                           all of that upstream
///     sha256:…                          whoever holds it
///     *                                 everything
///
/// The first component is a registry when it is the name or an alias of a configured upstream, or looks like
/// a host (it has a dot or a colon, or is localhost). Immutable.
class ImageNames {
 public:
  explicit ImageNames(std::span<const upstream::Settings> upstreams);

  /// Errors: bad_request, with what is wrong.
  Result<cache::ImageSelection> parse(std::string_view text) const;
  /// The name of an upstream, by name or alias; what is not configured may still be in the cache.
  std::string upstream(std::string_view text) const;

 private:
  std::unordered_map<std::string, std::string> names_;  // by name and alias
  std::unordered_set<std::string> adding_library_;      // upstreams whose short names get `library/`
  std::string default_name_;
};

/// The other way round than ImageName::text. Errors: bad_request.
Result<cache::ImageName> parse_image_name(std::string_view text);

}  // namespace entrepot::manage
