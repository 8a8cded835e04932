#include "proxy/manage/image_names.h"

#include <utility>

namespace entrepot::manage {
namespace {

constexpr size_t kMaxText = 1024;

bool looks_like_host(std::string_view text) {
  return text.find_first_of(".:") != std::string_view::npos || text == "localhost";
}

// "name", "name:tag", "name@digest", "name:tag@digest"
struct Split {
  std::string_view name;
  std::string_view tag;
  std::string_view digest;
};

Split split(std::string_view text) {
  Split parts{text, {}, {}};
  if (size_t at = text.find('@'); at != std::string_view::npos)
    parts = {text.substr(0, at), {}, text.substr(at + 1)};
  size_t slash = parts.name.rfind('/');
  size_t colon = parts.name.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon == std::string_view::npos) return parts;
  parts.tag = parts.name.substr(colon + 1);
  parts.name = parts.name.substr(0, colon);
  return parts;
}

Error bad(std::string_view text, const char* why) {
  return Error{Errc::bad_request, "`" + std::string(text) + "` " + why};
}

}  // namespace

ImageNames::ImageNames(std::span<const upstream::Settings> upstreams) {
  for (const upstream::Settings& settings : upstreams) {
    names_[settings.name] = settings.name;
    for (const std::string& alias : settings.aliases) names_[alias] = settings.name;
    if (settings.adds_library) adding_library_.insert(settings.name);
    if (settings.is_default) default_name_ = settings.name;
  }
}

std::string ImageNames::upstream(std::string_view text) const {
  auto known = names_.find(std::string(text));
  return known == names_.end() ? std::string(text) : known->second;
}

Result<cache::ImageSelection> ImageNames::parse(std::string_view text) const {
  cache::ImageSelection selection;
  if (text.empty() || text.size() > kMaxText) return fail(bad(text.substr(0, 80), "is no image's name"));
  if (text == "*") return selection;
  if (names_.contains(std::string(text))) {
    selection.upstream = upstream(text);
    return selection;
  }
  if (text.find('/') == std::string_view::npos && text.find('@') == std::string_view::npos) {
    selection.digest = Digest::parse(text);
    if (selection.digest) return selection;
  }
  Split parts = split(text);
  if (parts.name.empty() || parts.name.ends_with('/')) return fail(bad(text, "names no repository"));
  if (text.ends_with(':')) return fail(bad(text, "has an empty tag"));
  if (text.ends_with('@')) return fail(bad(text, "has no digest behind the @"));
  if (!parts.digest.empty()) {
    selection.digest = Digest::parse(parts.digest);
    if (!selection.digest) return fail(bad(text, "has no valid digest behind the @"));
  } else {
    selection.tag = parts.tag;
  }
  size_t slash = parts.name.find('/');
  std::string first(parts.name.substr(0, slash));
  bool names_upstream = slash != std::string_view::npos && (names_.contains(first) || looks_like_host(first));
  if (names_upstream) {
    selection.upstream = upstream(first);
    selection.repository = parts.name.substr(slash + 1);
  } else {
    selection.upstream = default_name_;
    selection.repository = parts.name;
    if (default_name_.empty()) return fail(bad(text, "names no registry, and there is no default upstream"));
  }
  bool is_short = selection.repository.find('/') == std::string::npos;
  if (adding_library_.contains(selection.upstream) && is_short && selection.repository != "*")
    selection.repository.insert(0, "library/");
  return selection;
}

Result<cache::ImageName> parse_image_name(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return fail(bad(text, "is no full name of an image"));
  Split parts = split(text.substr(slash + 1));
  cache::ImageName name{
      {std::string(text.substr(0, slash)), std::string(parts.name)}, std::string(parts.tag), {}};
  if (!parts.digest.empty()) name.manifest = Digest::parse(parts.digest);
  bool is_whole = !parts.name.empty() && (name.manifest || !name.tag.empty());
  if (!is_whole) return fail(bad(text, "is no full name of an image"));
  return name;
}

}  // namespace entrepot::manage
