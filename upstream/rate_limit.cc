#include "upstream/rate_limit.h"

#include <algorithm>
#include <charconv>

namespace entrepot::upstream {
namespace {

constexpr uint64_t kMost = 1'000'000'000;

struct Figure {
  uint64_t amount = 0;
  std::optional<uint64_t> window_seconds;
};

// Takes a number off the front.
std::optional<uint64_t> take_number(std::string_view& text) {
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number > kMost) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

// "76;w=21600", "76"
std::optional<Figure> parse_figure(std::string_view text) {
  std::optional<uint64_t> amount = take_number(text);
  if (!amount) return std::nullopt;
  Figure figure{*amount, std::nullopt};
  if (text.empty()) return figure;
  if (!text.starts_with(";w=")) return std::nullopt;
  text.remove_prefix(3);
  figure.window_seconds = take_number(text);
  if (!figure.window_seconds || !text.empty()) return std::nullopt;
  return figure;
}

std::optional<Figure> figure_in(const ResponseHead& head, std::string_view field) {
  std::optional<std::string_view> value = head.only(field);
  return value ? parse_figure(*value) : std::nullopt;
}

// Docker-RateLimit-Source: an address, or an account's UUID. "" for anything else, which no log needs.
std::string source_in(const ResponseHead& head) {
  constexpr size_t kLongest = 45;  // of an IPv6 address
  std::string_view value = head.only("docker-ratelimit-source").value_or("");
  bool is_plain = !value.empty() && value.size() <= kLongest && std::ranges::all_of(value, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '.' || c == ':' || c == '-';
  });
  return is_plain ? " to " + std::string(value) : std::string();
}

}  // namespace

std::optional<RateLimit> RateLimit::of(const ResponseHead& head) {
  std::optional<Figure> limit = figure_in(head, "ratelimit-limit");
  std::optional<Figure> remaining = figure_in(head, "ratelimit-remaining");
  if (!limit || !remaining) return std::nullopt;
  return RateLimit{limit->amount, remaining->amount, limit->window_seconds};
}

void RateLimitWatch::note(const ResponseHead& head, MonotonicTime now) {
  std::optional<RateLimit> told = RateLimit::of(head);
  if (!told) return;
  bool is_to_be_told = false;
  {
    std::lock_guard lock(mutex_);
    if (!gauges_) {
      const Labels labels = {{"upstream", upstream_}, {"credential", has_credential_ ? "own" : "none"}};
      gauges_ =
          Gauges{metrics_.gauge("entrepot_upstream_ratelimit_limit",
                                "Pulls that the registry allows in a window, as it last said", labels),
                 metrics_.gauge("entrepot_upstream_ratelimit_remaining",
                                "Pulls that are left in the window, as the registry last said", labels)};
    }
    gauges_->limit.set(static_cast<double>(told->limit));
    gauges_->remaining.set(static_cast<double>(told->remaining));
    is_to_be_told = told->is_nearly_used_up() && (!warned_at_ || now - *warned_at_ >= kBetweenWarnings);
    if (is_to_be_told) warned_at_ = now;
  }
  if (!is_to_be_told) return;
  std::string window =
      told->window_seconds ? " in " + std::to_string(*told->window_seconds) + " seconds" : std::string();
  logger_.warn("{}: {} of {} pulls{} are left{}, says the registry", upstream_, told->remaining, told->limit,
               window, source_in(head));
}

}  // namespace entrepot::upstream
