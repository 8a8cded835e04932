#include <set>

#include "proxy/config/draft.h"
#include "proxy/config/overrides.h"

// ENTREPOT_<SECTION>__<KEY>. A variable with a single underscore between is none of ours unless it is nearly
// one: Kubernetes sets ENTREPOT_PORT, ENTREPOT_SERVICE_HOST and more beside every service of our name, and a
// password_env may name any variable.

namespace entrepot::config {
namespace {

constexpr std::string_view kPrefix = "ENTREPOT_";
constexpr std::string_view kUpstreamPrefix = "ENTREPOT_UPSTREAM__";

std::string without_double_underscores(std::string_view text) {
  std::string out;
  for (char c : text)
    if (c != '_' || !out.ends_with('_')) out += c;
  return out;
}

class EnvironmentSource {
 public:
  EnvironmentSource(Draft& draft, Report& report) : draft_(draft), report_(report) {}

  void apply(const std::string& variable, const std::string& text) {
    if (std::string_view(variable).starts_with(kUpstreamPrefix)) return apply_upstream(variable, text);
    Origin origin = origin_of(variable);
    for (const Key& key : all_keys()) {
      if (key.is_of_upstream() || variable_of(key) != variable) continue;
      return give(draft_.settings, key, full_name(key), override_value(key, text), origin, report_);
    }
    bool is_ours = variable.find("__") != std::string::npos;
    std::vector<std::string> known;
    for (const Key& key : all_keys()) {
      if (key.is_of_upstream()) continue;
      known.push_back(variable_of(key));
      is_ours |= without_double_underscores(known.back()) == variable;
    }
    if (is_ours) report_.add(origin, "", "no key has this variable" + suggestion(variable, known));
  }

  // First pass: ENTREPOT_UPSTREAM__MY_REGISTRY__NAME=my.registry makes an upstream, which its other variables
  // then find.
  void apply_name(const std::string& variable, const std::string& text) {
    constexpr std::string_view kName = "__NAME";
    if (!std::string_view(variable).starts_with(kUpstreamPrefix) ||
        !std::string_view(variable).ends_with(kName))
      return;
    if (variable.size() <= kUpstreamPrefix.size() + kName.size() || draft_.find(text) != nullptr) return;
    std::string part = variable.substr(kUpstreamPrefix.size());
    part.resize(part.size() - kName.size());
    const Key& key = key_of("upstream", "name");
    Checked name = check_value(key, text);
    if (!name)
      report_.add(origin_of(variable), "upstream.name", name.error());
    else if (as_variable_part(text) != part)
      report_.add(origin_of(variable), "upstream.name",
                  "the variable of this name is " + variable_of(key, text));
    else
      draft_.add(text, origin_of(variable));
  }

 private:
  static Origin origin_of(const std::string& variable) { return {"environment variable " + variable, 0, 0}; }

  void apply_upstream(const std::string& variable, const std::string& text) {
    Origin origin = origin_of(variable);
    std::string_view rest = std::string_view(variable).substr(kUpstreamPrefix.size());
    size_t mark = rest.rfind("__");
    if (mark == std::string_view::npos || mark == 0)
      return report_.add(origin, "", "must be ENTREPOT_UPSTREAM__<NAME>__<KEY>");
    Draft::Upstream* upstream = upstream_of(rest.substr(0, mark), origin);
    if (upstream == nullptr) return;
    upstream->is_named = true;
    std::string_view part = rest.substr(mark + 2);
    for (const Key& key : all_keys()) {
      if (!key.is_of_upstream() || as_variable_part(key.name) != part) continue;
      std::string name = full_name(key, upstream->name);
      if (key.kind == Kind::name) return check_name_override(*upstream, text, origin, name, report_);
      return give(upstream->settings, key, name, override_value(key, text), origin, report_);
    }
    std::string name(part);
    for (char& c : name)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    report_.add(origin, "upstream." + upstream->name + "." + name, unknown_key("upstream", name));
  }

  // nullptr when none or more than one is written so (reported).
  Draft::Upstream* upstream_of(std::string_view part, const Origin& origin) {
    Draft::Upstream* found = nullptr;
    std::vector<std::string> known;
    for (Draft::Upstream& upstream : draft_.upstreams) {
      known.push_back(as_variable_part(upstream.name));
      if (known.back() != part) continue;
      if (found != nullptr) {
        report_.add(origin, "",
                    "means both " + found->name + " and " + upstream.name + "; use the file or --set");
        return nullptr;
      }
      found = &upstream;
    }
    if (found == nullptr)
      report_.add(
          origin, "",
          "no upstream has this name" + suggestion(part, known) + "; a new one needs its …__NAME variable");
    return found;
  }

  Draft& draft_;
  Report& report_;
};

using Environment = std::map<std::string, std::string, std::less<>>;

// Variables that hold a password by some upstream's password_env; their names are the user's choice.
std::set<std::string> password_variables(const Draft& draft, const Environment& environment) {
  std::set<std::string> names;
  for (const Draft::Upstream& upstream : draft.upstreams)
    names.insert(value_or_default<std::string>(upstream.settings, "upstream", "password_env"));
  for (const auto& [variable, text] : environment)
    if (variable.starts_with(kUpstreamPrefix) && variable.ends_with("__PASSWORD_ENV")) names.insert(text);
  return names;
}

}  // namespace

void apply_environment(Draft& draft, const Environment& environment, Report& report) {
  EnvironmentSource source(draft, report);
  std::set<std::string> passwords = password_variables(draft, environment);
  for (const auto& [variable, text] : environment)
    if (variable.starts_with(kPrefix) && !passwords.contains(variable)) source.apply_name(variable, text);
  for (const auto& [variable, text] : environment)
    if (variable.starts_with(kPrefix) && !passwords.contains(variable)) source.apply(variable, text);
}

}  // namespace entrepot::config
