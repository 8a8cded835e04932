#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "proxy/config/binding.h"
#include "proxy/config/draft.h"

namespace entrepot::config {
namespace {

std::string variable(const Inputs& inputs, std::string_view name) {
  auto found = inputs.environment.find(name);
  return found == inputs.environment.end() ? "" : found->second;
}

// "" when the environment does not say enough. Relative values of the variables are ignored (XDG base
// directory spec).
std::string default_directory(const Inputs& inputs) {
  std::string state = variable(inputs, "STATE_DIRECTORY");  // systemd.exec(5): several are separated by ':'
  state.resize(std::min(state.find(':'), state.size()));
  if (state.starts_with('/')) return state;
  if (inputs.is_root) return "/var/lib/entrepot";
  std::string xdg = variable(inputs, "XDG_CACHE_HOME");
  if (xdg.starts_with('/')) return xdg + "/entrepot";
  std::string home = variable(inputs, "HOME");
  if (home.starts_with('/')) return home + "/.cache/entrepot";
  return "";
}

// Directories that are never ours alone: the budget would be somebody else's files.
bool is_shared_directory(std::string_view directory) {
  static constexpr std::array<std::string_view, 8> kShared = {"/",    "/tmp", "/var/tmp", "/dev/shm",
                                                              "/var", "/usr", "/etc",     "/home"};
  return std::find(kShared.begin(), kShared.end(), directory) != kShared.end();
}

class Finisher {
 public:
  Finisher(const Draft& draft, const Inputs& inputs, Report& report)
      : draft_(draft), inputs_(inputs), report_(report) {}

  Config config() {
    for (const Key& key : all_keys()) {
      if (key.is_of_upstream()) continue;
      auto given = draft_.settings.find(&key);
      put(key, given == draft_.settings.end() ? default_of(key) : given->second.value, config_);
    }
    settle_directory();
    settle_control();
    check_listeners();
    check_tls();
    check_hooks();
    config_.upstreams = finish_upstreams(draft_, report_);
    return std::move(config_);
  }

 private:
  void settle_directory() {
    std::string& directory = config_.cache.directory;
    if (directory.empty()) directory = default_directory(inputs_);
    if (directory.empty())
      return say("cache", "directory",
                 "missing: neither STATE_DIRECTORY, XDG_CACHE_HOME nor HOME says where");
    directory = (std::filesystem::path(inputs_.working_directory) / directory).lexically_normal().string();
    if (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
    if (is_shared_directory(directory))
      say("cache", "directory", "must be a directory of its own, not " + directory);
  }

  void settle_control() {
    if (config_.control.listen.is_unix() || config_.cache.directory.empty()) return;
    auto address = parse_listen_address("unix:" + config_.cache.directory + "/control.sock");
    if (address)
      config_.control.listen = std::move(*address);
    else
      // The directory is what was written; the socket in it is a default.
      say("cache", "directory",
          "its control socket " + address.error() + "; set control.listen to a shorter one");
  }

  void check_listeners() {
    struct Taken {
      std::string address;
      std::string_view section;
    };
    std::vector<Taken> taken;
    auto take = [&](std::string_view section, const ListenAddress& address) {
      bool is_any = !address.is_unix() && address.port == 0;
      auto before = std::find_if(taken.begin(), taken.end(),
                                 [&](const Taken& other) { return other.address == address.text(); });
      if (!is_any && before != taken.end()) say_twice(before->section, section, address.text());
      taken.push_back({address.text(), section});
    };
    for (const ListenAddress& address : config_.server.listen) take("server", address);
    if (config_.admin.listen) take("admin", *config_.admin.listen);
    if (config_.hooks.listen) take("hooks", *config_.hooks.listen);
    take("control", config_.control.listen);
    if (config_.server.listen.empty()) say("server", "listen", "needs at least one address");
  }

  // Where it was written: the other may be a default.
  void say_twice(std::string_view before, std::string_view section, const std::string& address) {
    if (find_setting(draft_.settings, section, "listen") != nullptr || before == section)
      return say(section, "listen", address + " is given twice");
    say(before, "listen", fmt::format("{} is the default of {}.listen", address, section));
  }

  void check_hooks() {
    const Config::Hooks& hooks = config_.hooks;
    if (hooks.listen && hooks.secret_file.empty()) say("hooks", "listen", "needs hooks.secret_file");
    if (!hooks.listen && hooks.prefetch) say("hooks", "prefetch", "needs hooks.listen");
    if (!hooks.listen && !hooks.secret_file.empty()) say("hooks", "secret_file", "needs hooks.listen");
  }

  void check_tls() {
    const Config::Tls& tls = config_.server.tls;
    if (tls.certificate.empty() == tls.key.empty()) return;
    if (tls.key.empty())
      say("server.tls", "certificate", "needs server.tls.key, its private key");
    else
      say("server.tls", "key", "needs server.tls.certificate, which it belongs to");
  }

  void say(std::string_view section, std::string_view name, std::string reason) {
    const Draft::Setting* setting = find_setting(draft_.settings, section, name);
    report_.add(setting != nullptr ? setting->origin : Origin(), full_name(key_of(section, name)),
                std::move(reason));
  }

  const Draft& draft_;
  const Inputs& inputs_;
  Report& report_;
  Config config_;
};

}  // namespace

Config finish(Draft draft, const Inputs& inputs, Report& report) {
  return Finisher(draft, inputs, report).config();
}

}  // namespace entrepot::config
