#include "upstream/url.h"
#include "upstream/version.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

namespace entrepot::upstream {
namespace {

constexpr size_t kMaxUrlSize = 8 * 1024;
constexpr size_t kMaxHostSize = 253;

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, FreeUrl>;

bool is_ascii_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// What curl_url_set would let through or repair, and we do not want to guess about.
Status check_text(std::string_view text) {
  if (text.empty()) return fail(Errc::policy_refused, "empty URL");
  if (text.size() > kMaxUrlSize) return fail(Errc::policy_refused, "URL longer than 8 KiB");
  auto is_bad = [](char c) { return c <= ' ' || c >= '\x7f' || c == '\\'; };
  if (std::ranges::any_of(text, is_bad))
    return fail(Errc::policy_refused, "URL with a byte that may not be there");
  return {};
}

bool is_good_host(std::string_view host) {
  if (host.empty() || host.size() > kMaxHostSize) return false;
  if (host.front() == '[') {
    auto is_address_char = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
    };
    return host.back() == ']' && std::ranges::all_of(host.substr(1, host.size() - 2), is_address_char);
  }
  auto is_name_char = [](char c) { return is_ascii_lower_or_digit(c) || c == '.' || c == '-' || c == '_'; };
  return std::ranges::all_of(host, is_name_char) && host.front() != '.' && host.front() != '-';
}

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string result(text);
  curl_free(text);
  return result;
}

bool has_part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  bool is_there = curl_url_get(url, part, &text, 0) == CURLUE_OK;
  curl_free(text);
  return is_there;
}

bool is_unreserved(char c) {
  return is_ascii_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~';
}

void append_encoded(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  ENTREPOT_TRY(check_text(text));
  UrlHandle handle(curl_url());
  if (curl_url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(), 0) != CURLUE_OK)
    return fail(Errc::policy_refused, "not an http or https URL");
  return from_handle(handle.get());
}

Result<Url> Url::resolve(std::string_view reference) const {
  ENTREPOT_TRY(check_text(reference));
  UrlHandle handle(curl_url());
  if (curl_url_set(handle.get(), CURLUPART_URL, text_.c_str(), 0) != CURLUE_OK ||
      curl_url_set(handle.get(), CURLUPART_URL, std::string(reference).c_str(), 0) != CURLUE_OK)
    return fail(Errc::policy_refused, "not an http or https URL");
  return from_handle(handle.get());
}

Result<Url> Url::from_handle(void* curl_url) {
  auto* handle = static_cast<CURLU*>(curl_url);
  std::string scheme = part_of(handle, CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https")
    return fail(Errc::policy_refused, "URL with a scheme other than http and https");
  if (has_part(handle, CURLUPART_USER) || has_part(handle, CURLUPART_PASSWORD))
    return fail(Errc::policy_refused, "URL with a user name");
  if (has_part(handle, CURLUPART_ZONEID)) return fail(Errc::policy_refused, "URL with an IPv6 zone");

  Url url;
  url.is_https_ = scheme == "https";
  url.host_ = part_of(handle, CURLUPART_HOST);
  std::ranges::transform(url.host_, url.host_.begin(), to_lower);
  if (!is_good_host(url.host_)) return fail(Errc::policy_refused, "URL with an unusable host name");
  // The decimal text of a valid port; libcurl has checked it.
  url.port_ = static_cast<uint16_t>(std::stoul("0" + part_of(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT)));
  if (url.port_ == 0) return fail(Errc::policy_refused, "URL with port 0");

  curl_url_set(handle, CURLUPART_HOST, url.host_.c_str(), 0);
  curl_url_set(handle, CURLUPART_FRAGMENT, nullptr, 0);
  url.text_ = part_of(handle, CURLUPART_URL);
  if (url.text_.empty() || url.text_.size() > kMaxUrlSize)
    return fail(Errc::policy_refused, "URL longer than 8 KiB");
  return url;
}

std::string Url::encoded(std::span<const Parameter> parameters) {
  size_t most = 0;
  for (const auto& [name, value] : parameters) most += 3 * (name.size() + value.size()) + 2;
  std::string text;
  text.reserve(most);  // one of them may be secret: no copy of it is left behind where the text has grown
  for (const auto& [name, value] : parameters) {
    if (!text.empty()) text += '&';
    append_encoded(text, name);
    text += '=';
    append_encoded(text, value);
  }
  return text;
}

Result<Url> Url::with_parameters(std::span<const Parameter> parameters) const {
  if (parameters.empty()) return *this;
  std::string text = text_;
  if (text.back() != '?' && text.back() != '&') text += has_query() ? '&' : '?';
  return parse(text + encoded(parameters));
}

std::string_view Url::text_without_query() const {
  return std::string_view(text_).substr(0, text_.find('?'));
}

std::string Url::authority() const { return host_ + ":" + std::to_string(port_); }

bool Url::has_same_origin(const Url& other) const {
  return is_https_ == other.is_https_ && host_ == other.host_ && port_ == other.port_;
}

std::string library_version() { return curl_version(); }

}  // namespace entrepot::upstream
