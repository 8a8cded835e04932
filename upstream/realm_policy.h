#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "upstream/url.h"

namespace entrepot::upstream {

/// `host[:port]` of `trusted_realms`. Without a port: the default one of the realm's scheme.
struct TrustedRealm {
  std::string host;   // lower case, IPv6 in brackets
  uint16_t port = 0;  // 0 = the scheme's default

  static Result<TrustedRealm> parse(std::string_view text);
  bool covers(const Url& url) const;
};

/// What a token service that a registry's challenge names may get (CVE-2026-33540: a challenge is the
/// upstream's word, and the upstream may be hostile or broken into).
///
///  trusted     may get the upstream's credential: same scheme, host and port as the registry; or both https
///  on port
///              443 below one registrable domain (public suffix list); or listed in `trusted_realms`. IP
///              literals and names without a registrable domain are compared exactly.
///  anonymous   may be asked, without a credential. Only an upstream that has none does so; with one
///  configured,
///              such a realm is refused before anything is dialled.
///  refused     http although the registry is https.
///
/// Whether a realm's address may be dialled is another question, see ConnectPolicy.
enum class RealmTrust { trusted, anonymous, refused };

RealmTrust judge_realm(const Url& registry, const Url& realm, std::span<const TrustedRealm> trusted);

}  // namespace entrepot::upstream
