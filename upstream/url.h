#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace entrepot::upstream {

/// An http or https URL that we may dial: always valid, without userinfo and fragment, at most 8 KiB. It is
/// parsed by libcurl's own parser and kept in libcurl's normal form, so that the host that a policy checks is
/// the host that curl dials (curl CVE-2022-27780). A value; any thread.
///
/// The query may be a credential (signed URLs): it appears in `text()` alone, which is never logged.
class Url {
 public:
  /// policy_refused for anything else than an absolute http or https URL: other schemes, userinfo, white
  /// space, control and non-ASCII bytes, backslashes, host names that are no LDH names, IPv6 zones. The
  /// message never holds the text.
  static Result<Url> parse(std::string_view text);
  /// A reference (RFC 3986 section 5), as a Location gives it, against this URL. Errors as `parse`.
  Result<Url> resolve(std::string_view reference) const;

  using Parameter = std::pair<std::string_view, std::string_view>;
  /// "a=1&b=x%20y", for a query or a form.
  static std::string encoded(std::span<const Parameter> parameters);
  /// This URL with further query parameters, percent-encoded here.
  Result<Url> with_parameters(std::span<const Parameter> parameters) const;

  /// Everything, for curl.
  const std::string& text() const { return text_; }
  /// What messages and logs may show.
  std::string_view text_without_query() const;
  bool is_https() const { return is_https_; }
  /// Lower case; an IPv6 address in brackets.
  const std::string& host() const { return host_; }
  uint16_t port() const { return port_; }
  bool has_query() const { return text_.find('?') != std::string::npos; }
  /// "host:port", the port always there.
  std::string authority() const;
  /// Same scheme, host and port: what may see the same Authorization.
  bool has_same_origin(const Url& other) const;

 private:
  Url() = default;
  static Result<Url> from_handle(void* curl_url);

  std::string text_;
  std::string host_;
  uint16_t port_ = 0;
  bool is_https_ = false;
};

}  // namespace entrepot::upstream
