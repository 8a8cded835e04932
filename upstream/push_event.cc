#include "upstream/push_event.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/reference.h"
#include "upstream/aws/ecr_host.h"
#include "upstream/hub_host.h"
#include "upstream/json_fields.h"
#include "upstream/url.h"

namespace entrepot::upstream {
namespace {

using Json = nlohmann::json;
using Found = Result<std::optional<PushEvent>>;

tl::unexpected<Error> malformed(std::string_view cause) {
  return fail(Errc::config_invalid, std::string(cause));
}

Found checked(PushEvent event) {
  if (!Url::parse("https://" + event.registry)) return malformed("not a registry's host");
  if (!is_repository_name(event.repository)) return malformed("not a repository's name");
  if (event.tags.size() > PushEvent::kMaxTags) return malformed("too many tags");
  if (!std::ranges::all_of(event.tags, [](const std::string& tag) { return is_tag(tag); }))
    return malformed("not a tag's name");
  return event;
}

// {"repository":"ns/name","docker_url":"quay.io/ns/name","updated_tags":["latest"]}; older ones have an
// object of tags. Other events have the same, and no updated_tags.
Found from_quay(const Json& json) {
  auto tags = json.find("updated_tags");
  if (tags == json.end()) return std::optional<PushEvent>();
  PushEvent event;
  std::string place = text_in(json, "docker_url");
  size_t slash = place.find('/');
  if (slash == std::string::npos) return malformed("a docker_url that is none");
  event.registry = place.substr(0, slash);
  event.repository = place.substr(slash + 1);
  if (!tags->is_array() && !tags->is_object()) return malformed("updated_tags is no list");
  for (const auto& [name, tag] : tags->items()) {
    if (tags->is_array() && !tag.is_string()) return malformed("updated_tags holds something that is no tag");
    event.tags.push_back(tags->is_array() ? tag.get<std::string>() : name);
  }
  return checked(std::move(event));
}

// {"push_data":{"tag":"latest",…},"repository":{"repo_name":"ns/name",…},"callback_url":…}
Found from_hub(const Json& push, const Json& repository) {
  PushEvent event{"docker.io", text_in(repository, "repo_name"), {}};
  if (event.repository.find('/') == std::string::npos && !event.repository.empty())
    event.repository.insert(0, "library/");
  std::string tag = text_in(push, "tag");
  if (tag.empty()) return malformed("push_data without a tag");
  event.tags.push_back(std::move(tag));
  return checked(std::move(event));
}

// {"source":"aws.ecr","detail-type":"ECR Image Action","account":…,"region":…,"detail":{"result":"SUCCESS",
// "repository-name":…,"image-tag":…,"action-type":"PUSH"}}; DELETE moves a tag, too.
Found from_ecr(const Json& json, const Json& detail) {
  std::string action = text_in(detail, "action-type");
  bool has_changed = action == "PUSH" || action == "DELETE";
  if (text_in(json, "detail-type") != "ECR Image Action" || !has_changed ||
      text_in(detail, "result") != "SUCCESS")
    return std::optional<PushEvent>();
  PushEvent event{text_in(json, "account") + ".dkr.ecr." + text_in(json, "region") + ".amazonaws.com",
                  text_in(detail, "repository-name"),
                  {}};
  if (!aws::EcrHost::parse(event.registry)) return malformed("an account or region that cannot be");
  if (std::string tag = text_in(detail, "image-tag"); !tag.empty()) event.tags.push_back(std::move(tag));
  return checked(std::move(event));
}

// Docker Hub has several names. ECR's hosts of one account and region are one registry, whatever partition,
// FIPS or dual-stack they are of.
bool is_same_host(std::string_view host, const std::string& registry) {
  if (host == registry || (is_hub_host(host) && is_hub_host(registry))) return true;
  std::optional<aws::EcrHost> ours = aws::EcrHost::parse(host);
  std::optional<aws::EcrHost> theirs = aws::EcrHost::parse(registry);
  return ours && theirs && ours->account == theirs->account && ours->region == theirs->region;
}

}  // namespace

Found parse_push_event(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return malformed("not a JSON object");
  const Json* detail = object_in(json, "detail");
  if (text_in(json, "source") == "aws.ecr" && detail != nullptr) return from_ecr(json, *detail);
  const Json* push = object_in(json, "push_data");
  const Json* repository = object_in(json, "repository");
  if (push != nullptr && repository != nullptr) return from_hub(*push, *repository);
  if (json.contains("docker_url") && json.contains("namespace")) return from_quay(json);
  return malformed("not an event of Quay, Docker Hub or Amazon ECR");
}

std::vector<const Settings*> find_pushed(std::span<const Settings> all, const PushEvent& event) {
  std::vector<const Settings*> found;
  for (const Settings& settings : all) {
    bool is_named = is_same_host(settings.name, event.registry) ||
                    std::ranges::find(settings.aliases, event.registry) != settings.aliases.end();
    Result<Url> url = Url::parse(settings.url);
    bool has_default_port = url && url->port() == (url->is_https() ? 443 : 80);
    bool is_there = url && (url->authority() == event.registry ||
                            (has_default_port && is_same_host(url->host(), event.registry)));
    if (is_named || is_there) found.push_back(&settings);
  }
  return found;
}

}  // namespace entrepot::upstream
