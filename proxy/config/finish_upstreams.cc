#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "proxy/config/binding.h"
#include "proxy/config/builtin.h"
#include "proxy/config/draft.h"
#include "proxy/config/syntax.h"
#include "upstream/aws/ecr_host.h"

namespace entrepot::config {
namespace {

namespace aws = upstream::aws;

using upstream::Access;
using upstream::Auth;
using upstream::Settings;

// One upstream: its settings from the draft, and what in them does not go together. A value that was reported
// already (unsound) counts as given, and nothing is said of it again.
class UpstreamCheck {
 public:
  UpstreamCheck(const Draft::Upstream& draft, Report& report) : draft_(draft), report_(report) {}

  Settings settings() {
    Settings out;
    const Builtin* builtin = draft_.is_builtin ? find_builtin(draft_.name) : nullptr;
    for (const Key& key : all_keys()) {
      if (!key.is_of_upstream() || key.kind == Kind::name) continue;
      auto given = draft_.settings.find(&key);
      put(key, given == draft_.settings.end() ? default_of(key) : given->second.value, out);
    }
    out.name = draft_.name;
    if (builtin != nullptr) {
      out.adds_library = builtin->adds_library;
      if (out.url.empty()) out.url = builtin->url;
      for (std::string_view alias : builtin->aliases)
        if (std::find(out.aliases.begin(), out.aliases.end(), alias) == out.aliases.end())
          out.aliases.emplace_back(alias);
    }
    if (out.url.empty() && aws::EcrHost::parse(draft_.name)) out.url = "https://" + draft_.name;
    place_ = place_of(out);
    // By the host that will see the token: what the upstream is called says nothing about that.
    bool needs_ecr = place_ != Place::elsewhere && out.username.empty() && out.docker_config.empty() &&
                     out.access != Access::anonymous;
    if (out.auth == Auth::automatic && needs_ecr) out.auth = Auth::ecr;
    check(out);
    return out;
  }

 private:
  enum class Place { elsewhere, ecr, ecr_public };

  static Place place_of(const Settings& settings) {
    tl::expected<BaseUrl, std::string> url = parse_base_url(settings.url);
    if (url && aws::EcrHost::parse(url->host)) return Place::ecr;
    return url && aws::is_ecr_public(url->host) ? Place::ecr_public : Place::elsewhere;
  }

  void check(const Settings& settings) {
    if (settings.url.empty() && !is_unsound("url"))
      say("url", fmt::format("missing: \"{}\" is not built in, so it needs a url", draft_.name));
    check_credential(settings);
    check_ecr(settings);
    check_access(settings);
    check_plain_http(settings);
    check_identity(settings);
    check_mirrors(settings);
  }

  void check_credential(const Settings& settings) {
    bool has_file = !settings.password_file.empty();
    bool has_variable = !settings.password_env.empty();
    bool has_password = has_file || has_variable || is_unsound("password_file") || is_unsound("password_env");
    bool has_username = !settings.username.empty() || is_unsound("username");
    // RFC 7617: all after the first colon is the password. Not quoted for that reason.
    if (settings.username.find(':') != std::string::npos)
      say("username", "must not hold a colon; the password goes into password_file or password_env");
    if (has_file && has_variable) say("password_env", "give password_file or password_env, not both");
    if (has_username && !has_password) say("username", "needs password_file or password_env");
    if (has_password && !has_username) say(has_file ? "password_file" : "password_env", "needs a username");
    bool has_config = !settings.docker_config.empty();
    if (has_config && (has_username || has_password))
      say("docker_config", "give docker_config or a username with its password, not both");
    if (settings.auth == Auth::basic && !has_username && !has_config)
      say("auth", "\"basic\" needs username and a password, or docker_config");
    if (settings.auth == Auth::anonymous && has_username) say("auth", "\"anonymous\" contradicts username");
    if (settings.auth == Auth::anonymous && has_config)
      say("auth", "\"anonymous\" contradicts docker_config");
  }

  void check_ecr(const Settings& settings) {
    bool is_ecr = settings.auth == Auth::ecr;
    bool has_username = !settings.username.empty() || is_unsound("username");
    bool is_anonymous = settings.access == Access::anonymous && !is_unsound("access");
    if (is_ecr && !settings.docker_config.empty())
      say("docker_config", "has no place with auth = \"ecr\": AWS gives the credential");
    if (is_ecr && has_username) say("username", "has no place with auth = \"ecr\": AWS gives the credential");
    if (is_ecr && is_anonymous)
      say("auth", "\"ecr\" contradicts access = \"anonymous\"; set access = \"shared\"");
    if (!is_ecr && is_anonymous && !has_username && settings.docker_config.empty() && place_ == Place::ecr)
      say("access", "Amazon ECR answers nobody without a credential: set access = \"shared\"");
    if (is_ecr && place_ == Place::elsewhere) {
      if (settings.ecr_region.empty() && !is_unsound("ecr_region"))
        say("ecr_region", "missing: the url's host name does not tell the region");
      if (settings.ecr_endpoint.empty() && !is_unsound("ecr_endpoint"))
        say("ecr_endpoint", "missing: the url's host name is none of Amazon ECR's");
    }
    for (std::string_view name : {"aws_profile", "ecr_endpoint", "ecr_region"})
      if (!is_ecr && !value_or_default<std::string>(draft_.settings, "upstream", name).empty())
        say(name, "needs auth = \"ecr\"");
    tl::expected<BaseUrl, std::string> endpoint = parse_base_url(settings.ecr_endpoint);
    if (endpoint && !endpoint->is_https && !is_loopback(endpoint->host))
      say("ecr_endpoint", "a credential must not go over plain http:// to another machine; use https://");
  }

  void check_access(const Settings& settings) {
    if (is_unsound("access")) return;
    bool is_spelt_out =
        value_or_default<bool>(draft_.settings, "upstream", "allow_unauthenticated_private") ||
        is_unsound("allow_unauthenticated_private");
    bool has_username = !settings.username.empty() || is_unsound("username");
    bool has_config = !settings.docker_config.empty() || is_unsound("docker_config");
    if (settings.access == Access::anonymous && (has_username || has_config))
      say(has_username ? "username" : "docker_config",
          "contradicts access = \"anonymous\", which sends no credential; set access = \"shared\"");
    if (settings.access == Access::anonymous) return;
    bool is_shared = settings.access == Access::shared;
    if (is_shared && !is_spelt_out)
      say("access",
          "\"shared\" needs client authentication, which is not built yet; without it anyone who reaches "
          "entrepot may "
          "read what this credential can: accept that with allow_unauthenticated_private = true");
    if (!has_username && !has_config && settings.auth != Auth::ecr)
      say("access",
          fmt::format(
              "\"{}\" needs a credential: username with password_file or password_env, docker_config, or "
              "auth = \"ecr\"",
              is_shared ? "shared" : "public"));
    if (!is_shared && place_ == Place::ecr)
      say("access", "Amazon ECR answers nobody without a credential, so nothing there is \"public\"");
  }

  void check_plain_http(const Settings& settings) {
    tl::expected<BaseUrl, std::string> url = parse_base_url(settings.url);
    if (!url || url->is_https || is_loopback(url->host)) return;
    if (settings.username.empty() && settings.docker_config.empty() && settings.auth != Auth::ecr) return;
    say("url", "a credential must not go over plain http:// to another machine; use https://");
  }

  void check_identity(const Settings& settings) {
    bool has_certificate = !settings.client_certificate.empty() || is_unsound("client_certificate");
    bool has_key = !settings.client_key.empty() || is_unsound("client_key");
    if (has_certificate && !has_key) say("client_certificate", "needs client_key");
    if (has_key && !has_certificate) say("client_key", "needs client_certificate");
    tl::expected<BaseUrl, std::string> url = parse_base_url(settings.url);
    if (has_certificate && url && !url->is_https) say("client_certificate", "needs an https:// url");
  }

  // Asking the same place twice only takes time.
  void check_mirrors(const Settings& settings) {
    if (is_unsound("mirrors")) return;
    std::vector<std::string> known = {settings.url};
    for (const std::string& mirror : settings.mirrors) {
      if (std::find(known.begin(), known.end(), mirror) != known.end())
        say("mirrors", fmt::format("{} stands there already", mirror));
      known.push_back(mirror);
    }
  }

  bool is_unsound(std::string_view name) const {
    const Draft::Setting* setting = find_setting(draft_.settings, "upstream", name);
    return setting != nullptr && !setting->is_sound;
  }

  // At the place of that key if it was given, else where the upstream was named.
  void say(std::string_view name, std::string reason) {
    const Draft::Setting* setting = find_setting(draft_.settings, "upstream", name);
    report_.add(setting != nullptr ? setting->origin : draft_.origin,
                full_name(key_of("upstream", name), draft_.name), std::move(reason));
  }

  const Draft::Upstream& draft_;
  Report& report_;
  Place place_ = Place::elsewhere;
};

const Origin& origin_of(const Draft::Upstream& upstream, std::string_view key) {
  const Draft::Setting* setting = find_setting(upstream.settings, "upstream", key);
  return setting != nullptr ? setting->origin : upstream.origin;
}

bool is_configured_default(const Draft::Upstream& upstream) {
  return value_or_default<bool>(upstream.settings, "upstream", "default");
}

// Every name and alias means one upstream.
void check_names(const std::vector<const Draft::Upstream*>& drafts, const std::vector<Settings>& all,
                 Report& report) {
  std::map<std::string, size_t, std::less<>> taken;
  for (size_t i = 0; i < all.size(); ++i) taken.emplace(all[i].name, i);
  for (size_t i = 0; i < all.size(); ++i) {
    for (const std::string& alias : all[i].aliases) {
      auto [place, is_new] = taken.emplace(alias, i);
      if (is_new) continue;
      const Draft::Upstream& owner = *drafts[place->second];
      // A table that took one of a built-in's own aliases for its name is what is wrong, not the built-in.
      const Builtin* builtin = drafts[i]->is_builtin ? find_builtin(drafts[i]->name) : nullptr;
      bool is_own = builtin != nullptr && std::find(builtin->aliases.begin(), builtin->aliases.end(),
                                                    alias) != builtin->aliases.end();
      if (is_own && owner.name == alias)
        report.add(owner.origin, "upstream." + alias + ".name",
                   fmt::format("\"{}\" is a name of the built-in {} already", alias, all[i].name));
      else
        report.add(origin_of(*drafts[i], "aliases"), "upstream." + all[i].name + ".aliases",
                   fmt::format("\"{}\" is a name of {} already", alias, owner.name));
    }
  }
}

// A Host header means one upstream.
void check_hosts(const std::vector<const Draft::Upstream*>& drafts, const std::vector<Settings>& all,
                 Report& report) {
  std::map<std::string, size_t, std::less<>> taken;
  for (size_t i = 0; i < all.size(); ++i) {
    for (const std::string& host : all[i].hosts) {
      auto [place, is_new] = taken.emplace(host, i);
      if (is_new) continue;
      report.add(origin_of(*drafts[i], "hosts"), "upstream." + all[i].name + ".hosts",
                 fmt::format("\"{}\" selects {} already", host, all[place->second].name));
    }
  }
}

void choose_default(const std::vector<const Draft::Upstream*>& drafts, std::vector<Settings>& all,
                    Report& report) {
  const Draft::Upstream* first = nullptr;
  for (const Draft::Upstream* draft : drafts) {
    if (!is_configured_default(*draft)) continue;
    if (first != nullptr)
      report.add(origin_of(*draft, "default"), "upstream." + draft->name + ".default",
                 fmt::format("{} is the default already", first->name));
    if (first == nullptr) first = draft;
  }
  if (first != nullptr) return;
  for (size_t i = 0; i < all.size(); ++i) {
    const Builtin* builtin = drafts[i]->is_builtin ? find_builtin(drafts[i]->name) : nullptr;
    bool said_no = find_setting(drafts[i]->settings, "upstream", "default") != nullptr;
    if (builtin != nullptr && builtin->is_default && !said_no) all[i].is_default = true;
  }
}

}  // namespace

std::vector<Settings> finish_upstreams(const Draft& draft, Report& report) {
  bool keeps_builtins = value_or_default<bool>(draft.settings, "", "builtin_upstreams");
  std::vector<const Draft::Upstream*> drafts;
  std::vector<Settings> all;
  for (const Draft::Upstream& upstream : draft.upstreams) {
    if (!upstream.is_named && !keeps_builtins) continue;
    drafts.push_back(&upstream);
    all.push_back(UpstreamCheck(upstream, report).settings());
  }
  check_names(drafts, all, report);
  check_hosts(drafts, all, report);
  choose_default(drafts, all, report);
  if (all.empty())
    report.add(find_setting(draft.settings, "", "builtin_upstreams")->origin, "builtin_upstreams",
               "false without any [[upstream]] leaves nothing to serve");
  return all;
}

}  // namespace entrepot::config
