#include "proxy/daemon/push_hook.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/disk/run_on_disk.h"
#include "base/loop/call_on.h"
#include "upstream/push_event.h"
#include "upstream/small_file.h"

namespace entrepot::daemon {
namespace {

constexpr size_t kLeastSecret = 16;
constexpr size_t kMostSecret = 256;

bool is_letter_of_secret(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

Result<Secret> load_hook_secret(const std::string& file) {
  Result<Secret> read = upstream::read_small_file(file, kMostSecret + 2);
  if (!read) return fail(Errc::config_invalid, "hooks.secret_file: " + read.error().message);
  std::string_view text = read->reveal();
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  bool is_good = text.size() >= kLeastSecret && text.size() <= kMostSecret &&
                 std::ranges::all_of(text, is_letter_of_secret);
  if (!is_good)
    return fail(Errc::config_invalid,
                "hooks.secret_file: " + file + ": must hold 16 to 256 letters, digits, - and _");
  return Secret(std::string(text));
}

Task<bool> PushHook::forget_there(pull::Puller& puller, registry::RegistryHandler& handler,
                                  cache::Repository repository) {
  puller.listings().announce(repository);
  handler.forget_tags();
  co_return true;
}

Task<Result<admin::HookOutcome>> PushHook::take(EventLoop& loop, std::string body) {
  // Whatever somebody sends may take its time to be read: not on the loop.
  auto read = [body = std::move(body)] { return upstream::parse_push_event(body); };
  Result<std::optional<upstream::PushEvent>> parsed =
      co_await run_on_disk(compute_, loop, "read push event", std::move(read));
  if (!parsed) co_return fail(std::move(parsed).error());
  if (!*parsed) co_return admin::HookOutcome{.is_ignored = true};
  const upstream::PushEvent& event = **parsed;
  std::vector<const upstream::Settings*> pushed = upstream::find_pushed(upstreams_, event);
  if (pushed.empty()) {
    loop.logger().info("a push to {} was announced, which is none of the upstreams", event.registry);
    co_return admin::HookOutcome{.is_ignored = true};
  }
  std::optional<Error> failure;  // of one: the others are announced all the same
  for (const upstream::Settings* settings : pushed) {
    cache::Repository repository{settings->name, event.repository};
    Status announced = co_await announce(loop, std::move(repository), event.tags);
    if (!announced) failure = std::move(announced).error();
  }
  if (failure) co_return fail(std::move(*failure));
  co_return admin::HookOutcome{.tags = event.tags.size()};
}

Task<Status> PushHook::announce(EventLoop& loop, cache::Repository repository,
                                std::vector<std::string> tags) {
  pull::Puller& puller = *pullers_[static_cast<size_t>(loop.index())];
  Status status;
  for (const std::string& tag : tags) {
    pull::TagRequest request{repository, tag, {}};
    Status announced = co_await puller.tags().announce(std::move(request));
    if (!announced) status = std::move(announced);
  }
  // Only now: what was resolved before the announcement is not kept any more (HotAnswers::epoch).
  for (size_t i = 0; i < loops_.size(); ++i) {
    auto forget = [there = pullers_[i], handler = handlers_[i], repository] {
      return forget_there(*there, *handler, repository);
    };
    EventLoop& home = loops_.at(i);
    co_await call_on<bool>(home, loop, std::move(forget));
  }
  if (prefetcher_ != nullptr)
    for (const std::string& tag : tags) prefetcher_->want(repository, tag);
  loop.logger().info("a push to {}/{} was announced, {} tags", repository.upstream, repository.name,
                     tags.size());
  co_return status;
}

}  // namespace entrepot::daemon
