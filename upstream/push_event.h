#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "upstream/settings.h"

namespace entrepot::upstream {

/// What a registry says of a push: tags that have moved, or are new or gone. A hint and no truth: nobody
/// signs it.
struct PushEvent {
  std::string registry;  // "quay.io", "docker.io"; of ECR its host, with whatever suffix
  std::string repository;
  std::vector<std::string> tags;  // may be none: then the repository's tag list alone has changed

  static constexpr size_t kMaxTags = 1000;
};

/// Out of the JSON that is sent to a hook: Quay's repo_push (docs.quay.io, "Repository notifications"),
/// Docker Hub's webhook (docs.docker.com), Amazon ECR's "ECR Image Action" by EventBridge
/// (docs.aws.amazon.com). They are told apart by their shape. Nothing for an event of another kind (a build,
/// a scan, a push that failed). config_invalid for what is none of these, or has names that cannot be.
Result<std::optional<PushEvent>> parse_push_event(std::string_view json);

/// The upstreams that the event is about: by their names, aliases, or urls' hosts.
std::vector<const Settings*> find_pushed(std::span<const Settings> all, const PushEvent& event);

}  // namespace entrepot::upstream
