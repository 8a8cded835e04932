#include "proxy/cli/cache_verb.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache/cache.h"
#include "proxy/cli/control_client.h"
#include "proxy/cli/verb_output.h"
#include "proxy/manage/verbs.h"

namespace entrepot::cli {
namespace {

// A cache that is only looked after evicts nothing, whatever this command line's budget is.
constexpr uint64_t kNoBudget = uint64_t{1} << 60;
constexpr std::chrono::milliseconds kAskEvery{200};

using Call = std::function<Result<std::string>(const std::string& verb, const std::string& request)>;

/// The cache of a daemon that does not run.
struct StoppedCache {
  SystemClock clock;
  Logger logger{{.level = LogLevel::warn, .format = LogFormat::text}};
  Metrics metrics;
  std::unique_ptr<cache::Cache> cache;
  std::unique_ptr<manage::Verbs> verbs;

  static Result<std::unique_ptr<StoppedCache>> open(const config::Config& config, bool rebuilds);
};

// What root would make in there the service could not read afterwards. Before there is any other thread.
Status become_owner(const struct stat& status) {
  if (::geteuid() != 0 || status.st_uid == 0) return {};
  if (::setegid(status.st_gid) != 0 || ::seteuid(status.st_uid) != 0)
    return fail(system_error("cannot act as the owner of the cache directory", errno));
  return {};
}

Result<std::unique_ptr<StoppedCache>> StoppedCache::open(const config::Config& config, bool rebuilds) {
  const std::string& directory = config.cache.directory;
  struct stat status;
  if (::stat((directory + "/FORMAT").c_str(), &status) != 0)
    return fail(Errc::not_found, "there is no cache in " + directory);
  ENTREPOT_TRY(become_owner(status));
  auto stopped = std::make_unique<StoppedCache>();
  cache::Options options;
  options.directory = directory;
  options.max_size = kNoBudget;
  options.offline = true;
  options.is_run = false;
  options.is_rebuild = rebuilds;
  ENTREPOT_TRY_ASSIGN(stopped->cache, cache::Cache::open(std::move(options), stopped->clock, stopped->logger,
                                                         stopped->metrics));
  manage::Verbs::Limits limits{0, config.cache.min_free, config.cache.offline};
  ENTREPOT_TRY_ASSIGN(limits.max_size, config::resolve_size(config.cache.max_size, directory));
  stopped->verbs = std::make_unique<manage::Verbs>(
      *stopped->cache, config.upstreams, stopped->clock, [limits] { return limits; },
      manage::Verbs::Listeners{});
  return stopped;
}

const char* name_of(Verb verb) {
  switch (verb) {
    case Verb::ls:
      return "ls";
    case Verb::stats:
      return "stats";
    case Verb::pin:
      return "pin";
    case Verb::unpin:
      return "unpin";
    case Verb::purge:
      return "purge";
    case Verb::verify:
      return "verify";
    case Verb::serve:
    case Verb::check_config:
      break;
  }
  return "";
}

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::string dumped(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Result<Json> ask(const Call& call, Verb verb, const Json& request) {
  ENTREPOT_TRY_ASSIGN(std::string text, call(name_of(verb), dumped(request, -1)));
  Json answer = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) return fail(Errc::internal, "the daemon's answer is no JSON object");
  return answer;
}

/// Prints pages of images as they come.
class ImageList {
 public:
  explicit ImageList(bool is_json) : is_json_(is_json) {}

  Status add_all(const Call& call, Json request) {
    while (true) {
      ENTREPOT_TRY_ASSIGN(Json page, ask(call, Verb::ls, request));
      if (!page.contains("images") || page["images"].empty()) return {};
      add(page["images"]);
      request["after"] = page["next"];
    }
  }
  void finish() const {
    if (is_json_) print(is_first_ ? "{\"images\":[]}\n" : "\n]}\n");
  }
  bool is_empty() const { return is_first_; }

 private:
  void add(const Json& images) {
    if (!is_json_) print(image_table(images, is_first_));
    for (const Json& image : images) {
      if (is_json_) print((is_first_ ? "{\"images\":[\n" : ",\n") + dumped(image, -1));
      is_first_ = false;
    }
  }

  const bool is_json_;
  bool is_first_ = true;
};

Result<int> list(const Command& command, const Call& call) {
  ImageList images(command.wants_json);
  for (const std::string& image : command.images) ENTREPOT_TRY(images.add_all(call, {{"image", image}}));
  for (const std::string& name : command.upstreams) ENTREPOT_TRY(images.add_all(call, {{"upstream", name}}));
  bool names_all = command.images.empty() && command.upstreams.empty();
  if (names_all) ENTREPOT_TRY(images.add_all(call, Json::object()));
  images.finish();
  if (images.is_empty() && !command.wants_json)
    std::fputs(
        names_all ? "entrepot: the cache is empty\n" : "entrepot: nothing in the cache is named like that\n",
        stderr);
  return images.is_empty() && !names_all ? kFailed : kSuccess;
}

/// One line that is written over, for a person who waits.
class ProgressLine {
 public:
  explicit ProgressLine(bool is_wanted) : is_shown_(is_wanted && ::isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() { show(""); }
  void show(const std::string& text) {
    if (!is_shown_ || text == last_) return;
    std::fprintf(stderr, "\r%s\033[K", text.c_str());
    last_ = text;
  }

 private:
  const bool is_shown_;
  std::string last_;
};

Result<int> verify(const Command& command, const Call& call) {
  ENTREPOT_TRY_ASSIGN(Json answer, ask(call, Verb::verify, {{"repair", command.repairs}}));
  if (command.repairs && !answer.value("repair", false))
    return fail(Errc::overloaded, "a verification that does not repair is under way: wait for its end");
  ProgressLine line(!command.wants_json);
  while (answer.value("state", "") == "running") {
    line.show(verify_progress(answer));
    std::this_thread::sleep_for(kAskEvery);
    ENTREPOT_TRY_ASSIGN(answer, ask(call, Verb::verify, {{"ask", true}}));
  }
  line.show("");
  if (answer.value("state", "") != "done")
    return fail(Errc::io_error, "the verification has failed: " + answer.value("message", ""));
  print(command.wants_json ? dumped(answer, 2) + '\n' : verify_text(answer));
  uint64_t unreadable = answer.value("unreadable", uint64_t{0});
  uint64_t repairable = answer.value("damaged", uint64_t{0}) + answer.value("unknown", uint64_t{0});
  bool is_sound = unreadable == 0 && (repairable == 0 || command.repairs);
  return is_sound ? kSuccess : kFailed;
}

Result<int> perform(const Command& command, const Call& call, bool is_running) {
  if (command.verb == Verb::ls) return list(command, call);
  if (command.verb == Verb::verify) return verify(command, call);
  Json request = Json::object();
  if (command.verb != Verb::stats)
    request = {{"images", command.images}, {"upstreams", command.upstreams}, {"dry_run", command.is_dry_run}};
  ENTREPOT_TRY_ASSIGN(Json answer, ask(call, command.verb, request));
  if (command.wants_json)
    print(dumped(answer, 2) + '\n');
  else if (command.verb == Verb::stats)
    print(stats_text(answer, is_running));
  else if (command.verb == Verb::purge)
    print(purge_text(answer));
  else
    print(pin_text(answer, command.verb == Verb::pin));
  if (command.verb != Verb::purge || answer.value("pinned", uint64_t{0}) == 0) return kSuccess;
  std::fputs(kept_text(answer).c_str(), stderr);
  return kFailed;
}

Result<int> run(const Command& command, const config::Config& config) {
  std::optional<ControlClient> daemon = ControlClient::connect(config.control.listen.path);
  if (daemon && command.rebuilds)
    return fail(Errc::overloaded, "a daemon serves this cache: stop it, and rebuild its index then");
  if (daemon) {
    auto call = [&daemon](const std::string& verb, const std::string& request) {
      return daemon->call(verb, request);
    };
    return perform(command, call, true);
  }
  ENTREPOT_TRY_ASSIGN(std::unique_ptr<StoppedCache> stopped, StoppedCache::open(config, command.rebuilds));
  auto call = [&stopped](const std::string& verb, const std::string& request) {
    return stopped->verbs->perform(verb, request);
  };
  return perform(command, call, false);
}

}  // namespace

int run_cache_verb(const Command& command, const config::Config& config) {
  Result<int> code = run(command, config);
  if (code) return *code;
  if (command.wants_json)
    print(dumped(Json{{"errors", {{{"message", code.error().message}}}}}, 2) + '\n');
  else
    std::fprintf(stderr, "entrepot: %s\n", code.error().message.c_str());
  return kFailed;
}

}  // namespace entrepot::cli
