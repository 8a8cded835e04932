// What the values of each kind of key look like.

#include <fmt/format.h>

#include <charconv>

#include "base/check.h"
#include "base/units.h"
#include "proxy/config/key.h"
#include "proxy/config/listen_address.h"
#include "proxy/config/syntax.h"

namespace entrepot::config {
namespace {

constexpr size_t kMaxText = 4096;
constexpr size_t kMaxList = 64;
// parse_duration() adds up without looking; this is too short for its sum to overflow.
constexpr size_t kMaxDurationText = 24;

tl::unexpected<std::string> wrong(std::string reason) {
  return tl::unexpected<std::string>(std::move(reason));
}

bool is_one_of(std::string_view choices, std::string_view text) {
  while (!text.empty() && !choices.empty()) {
    size_t bar = choices.find('|');
    if (choices.substr(0, bar) == text) return true;
    if (bar == std::string_view::npos) return false;
    choices.remove_prefix(bar + 1);
  }
  return false;
}

std::string spelt(std::string_view choices) {
  std::string out;
  for (char c : choices) out += c == '|' ? std::string("\", \"") : std::string(1, c);
  return "\"" + out + "\"";
}

Checked check_choice(const Key& key, std::string_view text) {
  if (is_one_of(key.choices, text)) return std::string(text);
  if (is_one_of(key.later_choices, text))
    return wrong(fmt::format("\"{}\" is not built yet; must be one of {}", text, spelt(key.choices)));
  return wrong(fmt::format("must be one of {}", spelt(key.choices)));
}

Checked check_size(const Key& key, std::string_view text) {
  constexpr std::string_view kForms = "must be a size like \"512MiB\" or \"20GiB\"";
  std::optional<uint64_t> size = parse_size(text);
  if (!size) return wrong(std::string(kForms));
  if (*size < static_cast<uint64_t>(key.least)) return wrong("must be more than 0");
  return format_size(*size);
}

Checked check_size_or_percent(const Key& key, std::string_view text) {
  if (!text.ends_with('%')) return check_size(key, text);
  std::optional<uint16_t> percent = parse_port(text.substr(0, text.size() - 1));
  if (!percent || *percent < 1 || *percent > 100) return wrong("must be a whole percentage from 1% to 100%");
  return fmt::format("{}%", *percent);
}

Checked check_rate(std::string_view text) {
  if (text == "0") return std::string("0");
  std::optional<uint64_t> size =
      text.ends_with("/s") ? parse_size(text.substr(0, text.size() - 2)) : std::nullopt;
  if (!size) return wrong("must be a rate like \"20MiB/s\", or 0");
  return format_size(*size) + "/s";
}

Checked check_duration(const Key& key, std::string_view text) {
  std::optional<std::chrono::milliseconds> duration =
      text.size() <= kMaxDurationText ? parse_duration(text) : std::nullopt;
  if (!duration) return wrong("must be a duration with a unit, like \"500ms\", \"60s\" or \"1h30m\"");
  std::chrono::milliseconds least(key.least);
  std::chrono::milliseconds most(key.most);
  if (*duration < least || *duration > most)
    return wrong(fmt::format("must be from {} to {}", format_duration(least), format_duration(most)));
  return format_duration(*duration);
}

Checked check_listen(const Key& key, const std::string& text) {
  if (text.empty()) {
    if (key.kind == Kind::listen_list) return wrong("holds an empty address");
    return text;
  }
  auto address = parse_listen_address(text);
  if (!address) return wrong(std::move(address).error());
  if (key.kind == Kind::listen_unix && !address->is_unix()) return wrong("must be a unix socket: unix:/path");
  if (key.kind == Kind::listen_tcp && address->is_unix()) return wrong("must be host:port");
  return address->text();
}

Checked check_base_url(const std::string& text) {
  if (text.empty()) return text;
  tl::expected<BaseUrl, std::string> url = parse_base_url(text);
  if (!url) return wrong(std::move(url).error());
  return to_text(*url);
}

Checked as_checked(CheckedText text) {
  if (!text) return wrong(std::move(text).error());
  return std::move(*text);
}

Checked check_text(const Key& key, const std::string& text) {
  switch (key.kind) {
    case Kind::choice:
      return check_choice(key, text);
    case Kind::size:
      return check_size(key, text);
    case Kind::size_or_percent:
      return check_size_or_percent(key, text);
    case Kind::rate:
      return check_rate(text);
    case Kind::duration_or_unlimited:
      if (text == "unlimited") return text;
      return check_duration(key, text);
    case Kind::duration:
      return check_duration(key, text);
    case Kind::listen:
    case Kind::listen_tcp:
    case Kind::listen_unix:
    case Kind::listen_list:
      return check_listen(key, text);
    case Kind::base_url:
    case Kind::base_url_list:
      return check_base_url(text);
    case Kind::proxy_url:
      return as_checked(parse_proxy(text));
    case Kind::name:
    case Kind::name_list:
      return as_checked(parse_upstream_name(text));
    case Kind::host_list:
      return as_checked(parse_host_port(text));
    case Kind::cidr_list:
      return as_checked(parse_cidr(text));
    case Kind::variable:
      if (!text.empty() && !is_variable_name(text))
        return wrong("must be the name of an environment variable");
      return text;
    case Kind::path:
    case Kind::text:
    case Kind::boolean:
    case Kind::integer:
      return text;
  }
  return text;
}

bool is_list(Kind kind) {
  return kind == Kind::listen_list || kind == Kind::base_url_list || kind == Kind::name_list ||
         kind == Kind::host_list || kind == Kind::cidr_list;
}

// The value's shape for a key of that kind.
Value shape_for(Kind kind) {
  if (kind == Kind::boolean) return false;
  if (kind == Kind::integer) return int64_t{0};
  if (is_list(kind)) return TextList();
  return std::string();
}

Checked canonical_text(const Key& key, const std::string& text) {
  if (text.size() > kMaxText) return wrong(fmt::format("is longer than {} bytes", kMaxText));
  if (!is_clean_text(text)) return wrong("holds a control character or is not UTF-8");
  return check_text(key, text);
}

Checked canonical_list(const Key& key, const TextList& list) {
  if (list.size() > kMaxList) return wrong(fmt::format("may have at most {} entries", kMaxList));
  TextList out;
  for (const std::string& item : list) {
    if (item.empty()) return wrong("holds an empty entry");
    Checked checked = canonical_text(key, item);
    if (!checked) return checked;
    out.push_back(std::get<std::string>(std::move(*checked)));
  }
  return out;
}

Checked canonical_integer(const Key& key, int64_t number) {
  if (number < key.least || number > key.most)
    return wrong(fmt::format("must be from {} to {}", key.least, key.most));
  return number;
}

TextList split_list(std::string_view text) {
  TextList out;
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    out.emplace_back(item);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return out;
}

}  // namespace

Checked value_from_text(const Key& key, std::string_view text) {
  if (is_list(key.kind)) return split_list(text);
  if (key.kind == Kind::boolean) {
    if (text == "true" || text == "false") return text == "true";
    return wrong("must be true or false");
  }
  if (key.kind == Kind::integer) {
    int64_t number = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc() || end != text.data() + text.size()) return wrong("must be an integer");
    return number;
  }
  return std::string(text);
}

Checked canonical(const Key& key, const Value& value) {
  // Bytes may be a bare number; durations may not, they need a unit (but 0 is 0).
  bool is_size = key.kind == Kind::size || key.kind == Kind::size_or_percent;
  bool may_be_zero = key.kind == Kind::rate || key.kind == Kind::duration;
  if (const int64_t* number = std::get_if<int64_t>(&value))
    if (is_size || (may_be_zero && *number == 0)) return canonical_text(key, std::to_string(*number));
  if (value.index() != shape_for(key.kind).index())
    return wrong(fmt::format("must be {}, not {}", shape_of(shape_for(key.kind)), shape_of(value)));
  if (const std::string* text = std::get_if<std::string>(&value)) return canonical_text(key, *text);
  if (const TextList* list = std::get_if<TextList>(&value)) return canonical_list(key, *list);
  if (const int64_t* number = std::get_if<int64_t>(&value)) return canonical_integer(key, *number);
  return value;
}

Value default_of(const Key& key) {
  Checked value = value_from_text(key, key.default_text);
  CHECK(value.has_value());
  // An upstream's name has no default, and "" is not one.
  if (key.kind == Kind::name) return *value;
  Checked checked = canonical(key, *value);
  CHECK(checked.has_value());
  return *checked;
}

Checked check_value(const Key& key, const Value& value) {
  Checked checked = canonical(key, value);
  if (!checked || key.is_built || *checked == default_of(key)) return checked;
  return wrong(fmt::format("is not built yet; only its default {} is accepted", to_toml(default_of(key))));
}

}  // namespace entrepot::config
